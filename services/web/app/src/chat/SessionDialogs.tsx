import Button from '@mui/material/Button';
import Dialog from '@mui/material/Dialog';
import DialogActions from '@mui/material/DialogActions';
import DialogContent from '@mui/material/DialogContent';
import DialogContentText from '@mui/material/DialogContentText';
import DialogTitle from '@mui/material/DialogTitle';
import TextField from '@mui/material/TextField';
import { useState } from 'react';
import type { Session } from '../api/types';
import { useI18n } from '../i18n/I18nProvider';

interface SessionDialogProps<T> {
  session: Session;
  onClose: () => void;
  onConfirm: (value: T) => void;
}

export function RenameDialog({ session, onClose, onConfirm }: SessionDialogProps<string>) {
  const { t } = useI18n();
  const [title, setTitle] = useState(session.title ?? '');
  return (
    <Dialog open onClose={onClose} fullWidth maxWidth="xs">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          onConfirm(title.trim());
        }}
      >
        <DialogTitle>{t('rename')}</DialogTitle>
        <DialogContent>
          <TextField
            label={t('title')}
            value={title}
            onChange={(event) => setTitle(event.target.value)}
            fullWidth
            margin="dense"
            slotProps={{ htmlInput: { maxLength: 200 } }}
          />
        </DialogContent>
        <DialogActions>
          <Button onClick={onClose}>{t('cancel')}</Button>
          <Button type="submit" disabled={title.trim() === ''}>
            {t('save')}
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}

export function RemoveDialog({ session, onClose, onConfirm }: SessionDialogProps<void>) {
  const { t } = useI18n();
  return (
    <Dialog open onClose={onClose} role="alertdialog">
      <DialogContent>
        <DialogContentText>{t('removeConversation', { title: session.title ?? t('untitled') })}</DialogContentText>
      </DialogContent>
      <DialogActions>
        <Button onClick={onClose}>{t('cancel')}</Button>
        <Button color="error" onClick={() => onConfirm()}>
          {t('remove')}
        </Button>
      </DialogActions>
    </Dialog>
  );
}
