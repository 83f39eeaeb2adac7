/**
 * True while an input method builds a syllable: the Enter that ends it must not send the message. Safari reports
 * that key press after the composition ended, and only its key code 229 tells.
 */
export function isImeComposing(event: { isComposing: boolean; keyCode: number }): boolean {
  return event.isComposing || event.keyCode === 229;
}
