import Box from '@mui/material/Box';
import Link from '@mui/material/Link';
import { memo, useRef, type ComponentProps } from 'react';
import ReactMarkdown, { type Components } from 'react-markdown';
import remarkGfm from 'remark-gfm';
import { useI18n } from '../i18n/I18nProvider';
import { CopyButton } from '../shell/CopyButton';

const plugins = [remarkGfm];

const components: Components = {
  a: ({ href, children }) => (
    <Link href={href} target="_blank" rel="noopener noreferrer">
      {children}
    </Link>
  ),
  // A remote picture would tell its server who reads the answer, so it stays a link.
  img: ({ src, alt }) =>
    typeof src === 'string' && src !== '' ? (
      <Link href={src} target="_blank" rel="noopener noreferrer">
        {alt === undefined || alt === '' ? src : alt}
      </Link>
    ) : null,
  pre: CodeBlock,
  table: ({ children }) => (
    <Box sx={{ overflowX: 'auto' }}>
      <table>{children}</table>
    </Box>
  ),
};

/** Renders a model's Markdown. Raw HTML is never interpreted: it shows as the text it is. */
export const Markdown = memo(function Markdown({ text }: { text: string }) {
  return (
    <Box sx={styles}>
      <ReactMarkdown remarkPlugins={plugins} components={components}>
        {text}
      </ReactMarkdown>
    </Box>
  );
});

function CodeBlock({ children }: ComponentProps<'pre'>) {
  const { t } = useI18n();
  const code = useRef<HTMLPreElement>(null);
  return (
    <Box sx={{ position: 'relative' }}>
      <Box sx={{ position: 'absolute', top: 4, right: 4 }}>
        <CopyButton label={t('copyCode')} text={() => code.current?.textContent ?? ''} />
      </Box>
      {/* Focusable, so that a wide block can be scrolled with the keyboard. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a scrollable region must be reachable */}
      <pre ref={code} tabIndex={0}>
        {children}
      </pre>
    </Box>
  );
}

const styles = {
  overflowWrap: 'anywhere',
  '& > :first-of-type': { mt: 0 },
  '& > :last-child': { mb: 0 },
  '& pre': { overflowX: 'auto', p: 1.5, pr: 6, borderRadius: 2, bgcolor: 'action.hover', m: 0, my: 1 },
  '& code': { fontFamily: 'ui-monospace, "SF Mono", Consolas, monospace', fontSize: '0.9em' },
  '& table': { borderCollapse: 'collapse' },
  '& th, & td': { border: 1, borderColor: 'divider', px: 1, py: 0.5 },
  '& blockquote': { borderLeft: 3, borderColor: 'divider', pl: 2, ml: 0, color: 'text.secondary' },
} as const;
