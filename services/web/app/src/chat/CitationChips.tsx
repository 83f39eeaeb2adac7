import Button from '@mui/material/Button';
import Chip from '@mui/material/Chip';
import Dialog from '@mui/material/Dialog';
import DialogActions from '@mui/material/DialogActions';
import DialogContent from '@mui/material/DialogContent';
import DialogTitle from '@mui/material/DialogTitle';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { useState } from 'react';
import type { Citation } from '../api/types';
import { useI18n } from '../i18n/I18nProvider';

/** The passages an answer quotes; a chip opens its passage. */
export function CitationChips({ citations }: { citations: Citation[] }) {
  const { t } = useI18n();
  const [open, setOpen] = useState<Citation | null>(null);
  if (citations.length === 0) return null;
  return (
    <>
      <Stack direction="row" useFlexGap sx={{ flexWrap: 'wrap', gap: 1, mt: 1 }} role="group" aria-label={t('sources')}>
        {citations.map((citation, index) => (
          <Chip
            key={`${citation.chunkId}-${index}`}
            size="small"
            variant="outlined"
            label={`${citation.number ?? index + 1} · ${citation.title}`}
            aria-label={t('openSource', { number: citation.number ?? index + 1, title: citation.title })}
            onClick={() => setOpen(citation)}
            data-testid="citation"
            sx={{ maxWidth: 280 }}
          />
        ))}
      </Stack>
      <Dialog open={open !== null} onClose={() => setOpen(null)} fullWidth maxWidth="sm">
        <DialogTitle>{open?.title}</DialogTitle>
        <DialogContent>
          {typeof open?.page === 'number' && open.page > 0 && (
            <Typography variant="caption" color="textSecondary">
              {t('page', { page: open.page })}
            </Typography>
          )}
          <Typography sx={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }} data-testid="passage">
            {open?.text}
          </Typography>
        </DialogContent>
        <DialogActions>
          <Button onClick={() => setOpen(null)}>{t('close')}</Button>
        </DialogActions>
      </Dialog>
    </>
  );
}
