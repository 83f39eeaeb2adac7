import IconButton from '@mui/material/IconButton';
import Tooltip from '@mui/material/Tooltip';
import { useState } from 'react';
import { useI18n } from '../i18n/I18nProvider';
import { CopyIcon } from './icons';

export function CopyButton({ label, text }: { label: string; text: () => string }) {
  const { t } = useI18n();
  const [copied, setCopied] = useState(false);

  async function copy() {
    await navigator.clipboard.writeText(text());
    setCopied(true);
  }

  return (
    <Tooltip title={copied ? t('copied') : label} onClose={() => setCopied(false)}>
      <IconButton size="small" aria-label={label} onClick={copy}>
        <CopyIcon fontSize="small" />
      </IconButton>
    </Tooltip>
  );
}
