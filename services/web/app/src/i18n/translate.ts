import { en, type Catalogue, type TextKey } from './en';
import { ko } from './ko';

export type Language = 'en' | 'ko';
export type Translate = (key: TextKey, values?: Record<string, string | number>) => string;

const catalogues: Record<Language, Catalogue> = { en, ko };
const storageKey = 'fleet.language';

export function translator(language: Language): Translate {
  const catalogue = catalogues[language];
  return (key, values = {}) =>
    catalogue[key].replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole));
}

/** The person's own choice first, then the browser's list. */
export function preferredLanguage(): Language {
  const chosen = localStorage.getItem(storageKey);
  if (chosen === 'en' || chosen === 'ko') return chosen;
  return navigator.languages.some((tag) => tag.toLowerCase().startsWith('ko')) ? 'ko' : 'en';
}

export function rememberLanguage(language: Language): void {
  localStorage.setItem(storageKey, language);
}
