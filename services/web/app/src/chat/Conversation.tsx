import Box from '@mui/material/Box';
import CircularProgress from '@mui/material/CircularProgress';
import type { ReactNode } from 'react';
import { useI18n } from '../i18n/I18nProvider';
import type { ApiClient } from '../api/ApiClient';
import { ErrorNotice } from '../shell/ErrorNotice';
import { PassageDialog } from './CitationChips';
import { Composer } from './Composer';
import { MessageView, UserBubble } from './MessageView';
import { hasEnded } from './run';
import type { RunStore } from './RunStore';
import { RunView } from './RunView';
import { useConversation } from './useConversation';
import { useStickToBottom } from './useStickToBottom';
import { Welcome } from './Welcome';

interface ConversationProps {
  api: ApiClient;
  runs: RunStore;
  sessionId: string;
  composerFooter: ReactNode;
}

export function Conversation({ api, runs, sessionId, composerFooter }: ConversationProps) {
  const { t } = useI18n();
  const { messages, run, loading, error, reload, send } = useConversation(api, runs, sessionId);
  const running = run !== undefined && !hasEnded(run);
  const [content, onScroll] = useStickToBottom();
  return (
    <PassageDialog>
      <Box ref={content} onScroll={onScroll} sx={{ flex: 1, overflowY: 'auto', px: 2 }}>
        <Box role="log" aria-label={t('conversations')} aria-busy={running} sx={{ maxWidth: 860, mx: 'auto', pb: 2 }}>
          {loading && <CircularProgress sx={{ display: 'block', mx: 'auto', mt: 8 }} />}
          {Boolean(error) && <ErrorNotice error={error} onRetry={reload} />}
          {!loading && !error && messages.length === 0 && !run && <Welcome />}
          {/* One list with the keys of the stored messages, so that an answer is not drawn anew when it is stored. */}
          {[
            ...messages.map((message) => <MessageView key={message.id} message={message} />),
            run && <UserBubble key="question" text={run.question} />,
            run?.message && <MessageView key={run.message.id} message={run.message} />,
          ]}
          {run && <RunView run={run} onRetry={() => void runs.retry(sessionId)} />}
        </Box>
      </Box>
      <Composer
        running={running}
        stopping={run?.stopping === true}
        onSend={send}
        onStop={() => void runs.stop(sessionId)}
        footer={composerFooter}
      />
    </PassageDialog>
  );
}
