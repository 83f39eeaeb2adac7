import Button from '@mui/material/Button';
import Chip from '@mui/material/Chip';
import Dialog from '@mui/material/Dialog';
import DialogActions from '@mui/material/DialogActions';
import DialogContent from '@mui/material/DialogContent';
import DialogTitle from '@mui/material/DialogTitle';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { createContext, use, useCallback, useState, type ReactNode } from 'react';
import type { Citation } from '../api/types';
import { useI18n } from '../i18n/I18nProvider';

const OpenPassage = createContext<(citation: Citation) => void>(() => undefined);

/** The passages an answer quotes; a chip opens its passage. */
export function CitationChips({ citations }: { citations: Citation[] }) {
  const { t } = useI18n();
  const open = use(OpenPassage);
  if (citations.length === 0) return null;
  return (
    <Stack direction="row" useFlexGap sx={{ flexWrap: 'wrap', gap: 1, mt: 1 }} role="group" aria-label={t('sources')}>
      {citations.map((citation, index) => (
        <Chip
          key={`${citation.chunkId}-${index}`}
          size="small"
          variant="outlined"
          label={`${citation.number ?? index + 1} · ${citation.title}`}
          aria-label={t('openSource', { number: citation.number ?? index + 1, title: citation.title })}
          onClick={() => open(citation)}
          data-testid="citation"
          sx={{ maxWidth: 280 }}
        />
      ))}
    </Stack>
  );
}

/** Shows the passage of any chip inside; it stays open while the answer around the chip is still changing. */
export function PassageDialog({ children }: { children: ReactNode }) {
  const { t } = useI18n();
  const [open, setOpen] = useState(false);
  // Kept while the dialog fades out.
  const [citation, setCitation] = useState<Citation | null>(null);

  const show = useCallback((next: Citation) => {
    setCitation(next);
    setOpen(true);
  }, []);

  return (
    <OpenPassage value={show}>
      {children}
      <Dialog open={open} onClose={() => setOpen(false)} fullWidth maxWidth="sm">
        <DialogTitle>{citation?.title}</DialogTitle>
        <DialogContent>
          {typeof citation?.page === 'number' && citation.page > 0 && (
            <Typography variant="caption" color="textSecondary">
              {t('page', { page: citation.page })}
            </Typography>
          )}
          <Typography sx={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }} data-testid="passage">
            {citation?.text}
          </Typography>
        </DialogContent>
        <DialogActions>
          <Button onClick={() => setOpen(false)}>{t('close')}</Button>
        </DialogActions>
      </Dialog>
    </OpenPassage>
  );
}
