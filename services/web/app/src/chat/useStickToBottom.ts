import { useCallback, useLayoutEffect, useRef, type RefObject } from 'react';

/** Keeps the end in sight while the content grows, unless the person has scrolled up to read. */
export function useStickToBottom(): [RefObject<HTMLDivElement | null>, () => void] {
  const ref = useRef<HTMLDivElement>(null);
  const stick = useRef(true);

  // After every render: the content may have grown for any reason.
  useLayoutEffect(() => {
    if (ref.current && stick.current) ref.current.scrollTop = ref.current.scrollHeight;
  });

  const onScroll = useCallback(() => {
    const element = ref.current;
    if (element) stick.current = element.scrollHeight - element.scrollTop - element.clientHeight < 48;
  }, []);
  return [ref, onScroll];
}
