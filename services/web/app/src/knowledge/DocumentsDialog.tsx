import Button from '@mui/material/Button';
import Chip from '@mui/material/Chip';
import Dialog from '@mui/material/Dialog';
import DialogActions from '@mui/material/DialogActions';
import DialogContent from '@mui/material/DialogContent';
import DialogContentText from '@mui/material/DialogContentText';
import DialogTitle from '@mui/material/DialogTitle';
import List from '@mui/material/List';
import ListItem from '@mui/material/ListItem';
import ListItemText from '@mui/material/ListItemText';
import Alert from '@mui/material/Alert';
import { useState } from 'react';
import type { ApiClient } from '../api/ApiClient';
import type { DocumentStatus, KnowledgeDocument } from '../api/types';
import type { TextKey } from '../i18n/en';
import { useI18n } from '../i18n/I18nProvider';
import { ErrorNotice } from '../shell/ErrorNotice';
import { useDocuments } from './useDocuments';

const statusText: Record<DocumentStatus, TextKey> = {
  stored: 'statusStored',
  parsed: 'statusParsed',
  split: 'statusSplit',
  embedded: 'statusEmbedded',
  indexed: 'statusIndexed',
  failed: 'statusFailed',
};

interface DocumentsDialogProps {
  api: ApiClient;
  open: boolean;
  onClose: () => void;
}

export function DocumentsDialog({ api, open, onClose }: DocumentsDialogProps) {
  const { t } = useI18n();
  const { list, upload, remove } = useDocuments(api, open);
  const [wrongType, setWrongType] = useState<string | null>(null);
  const documents = list.data ?? [];

  function choose(files: File[]) {
    const wrong = files.find((file) => !/\.(txt|md|markdown)$/i.test(file.name));
    setWrongType(wrong?.name ?? null);
    if (!wrong && files.length > 0) upload.mutate(files);
  }

  const error = upload.error ?? remove.error ?? list.error;
  return (
    <Dialog open={open} onClose={onClose} fullWidth maxWidth="sm" aria-labelledby="documents-title">
      <DialogTitle id="documents-title">{t('documents')}</DialogTitle>
      <DialogContent>
        <DialogContentText sx={{ mb: 2 }}>{t('documentsHint')}</DialogContentText>
        {wrongType && <Alert severity="warning">{t('wrongType', { name: wrongType })}</Alert>}
        {error && <ErrorNotice error={error} onRetry={() => void list.refetch()} />}
        <Button component="label" variant="outlined" loading={upload.isPending}>
          {t('upload')}
          <input
            type="file"
            hidden
            multiple
            accept=".txt,.md,.markdown,text/plain,text/markdown"
            data-testid="upload"
            onChange={(event) => {
              choose([...(event.target.files ?? [])]);
              // The same file may be chosen again after a failure.
              event.target.value = '';
            }}
          />
        </Button>
        <List dense aria-live="polite">
          {documents.map((document) => (
            <DocumentRow key={document.id} document={document} onRemove={() => remove.mutate(document.id)} />
          ))}
          {list.isSuccess && documents.length === 0 && <ListItem>{t('noDocuments')}</ListItem>}
        </List>
      </DialogContent>
      <DialogActions>
        <Button onClick={onClose}>{t('close')}</Button>
      </DialogActions>
    </Dialog>
  );
}

function DocumentRow({ document, onRemove }: { document: KnowledgeDocument; onRemove: () => void }) {
  const { t } = useI18n();
  const colour = document.status === 'indexed' ? 'success' : document.status === 'failed' ? 'error' : 'default';
  return (
    <ListItem
      data-testid="document"
      data-status={document.status}
      secondaryAction={
        <Button size="small" onClick={onRemove} aria-label={`${t('remove')}: ${document.name}`}>
          {t('remove')}
        </Button>
      }
    >
      <ListItemText
        primary={document.name}
        secondary={document.failureReason}
        slotProps={{ primary: { noWrap: true } }}
      />
      <Chip size="small" color={colour} label={t(statusText[document.status])} sx={{ mx: 2 }} />
    </ListItem>
  );
}
