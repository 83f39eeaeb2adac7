import Alert from '@mui/material/Alert';
import type { Notice } from '../api/types';
import type { TextKey } from '../i18n/en';
import { useI18n } from '../i18n/I18nProvider';

const texts: Partial<Record<string, TextKey>> = {
  'knowledge-unavailable': 'noticeKnowledgeUnavailable',
  'collection-not-found': 'noticeCollectionNotFound',
  'no-passages': 'noticeNoPassages',
  'passages-truncated': 'noticePassagesTruncated',
  'history-truncated': 'noticeHistoryTruncated',
  resumed: 'noticeResumed',
};

/** What the service says about an answer, in the person's language where the code is known. */
export function Notices({ notices }: { notices: Notice[] }) {
  const { t } = useI18n();
  return notices.map((notice) => {
    const key = texts[notice.code];
    return (
      <Alert key={notice.code} severity="info" sx={{ mb: 1 }}>
        {key ? t(key, { count: notice.count ?? '' }) : notice.text}
      </Alert>
    );
  });
}
