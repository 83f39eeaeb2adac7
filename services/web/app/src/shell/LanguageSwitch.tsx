import ToggleButton from '@mui/material/ToggleButton';
import ToggleButtonGroup from '@mui/material/ToggleButtonGroup';
import { useI18n } from '../i18n/I18nProvider';
import type { Language } from '../i18n/translate';

export function LanguageSwitch() {
  const { language, setLanguage, t } = useI18n();
  return (
    <ToggleButtonGroup
      size="small"
      exclusive
      value={language}
      aria-label={t('language')}
      onChange={(_, next: Language | null) => next && setLanguage(next)}
    >
      <ToggleButton value="ko" lang="ko">
        한국어
      </ToggleButton>
      <ToggleButton value="en" lang="en">
        English
      </ToggleButton>
    </ToggleButtonGroup>
  );
}
