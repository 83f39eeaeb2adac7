import NativeSelect from '@mui/material/NativeSelect';
import { useQuery } from '@tanstack/react-query';
import type { ApiClient } from '../api/ApiClient';
import type { Model, Page } from '../api/types';
import { useI18n } from '../i18n/I18nProvider';

interface ModelSelectProps {
  api: ApiClient;
  /** Nothing chosen means the default model. */
  value: string | null | undefined;
  onChange: (model: string) => void;
}

/** Which model answers; nothing to see where there is no choice. */
export function ModelSelect({ api, value, onChange }: ModelSelectProps) {
  const { t } = useI18n();
  const list = useQuery({
    queryKey: ['models'],
    queryFn: ({ signal }) => api.get<Page<Model>>('/api/llm/models', signal),
    staleTime: 60_000,
  });
  const ids = list.data?.items.map((model) => model.id) ?? [];
  const chosen = value ?? list.data?.items.find((model) => model.isDefault)?.id ?? '';
  if (ids.length < 2) return null;
  // A conversation may name a model that has been removed since; it is shown until another is chosen.
  if (!ids.includes(chosen)) ids.unshift(chosen);
  return (
    <NativeSelect
      variant="standard"
      disableUnderline
      value={chosen}
      onChange={(event) => onChange(event.target.value)}
      inputProps={{ 'aria-label': t('model') }}
      sx={{ typography: 'caption', color: 'text.secondary', maxWidth: 240 }}
    >
      {ids.map((id) => (
        <option key={id} value={id}>
          {id}
        </option>
      ))}
    </NativeSelect>
  );
}
