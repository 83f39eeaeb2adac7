import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { ApiClient } from '../api/ApiClient';
import type { Collection, KnowledgeDocument, Page } from '../api/types';

const collectionName = 'My documents';
const pollMs = 1_000;

/** The documents of the person's own collection, which is made with the first upload. */
export function useDocuments(api: ApiClient, enabled: boolean) {
  const queries = useQueryClient();
  const list = useQuery({
    queryKey: ['documents'],
    enabled,
    queryFn: async ({ signal }) => {
      const collection = await findCollection(api, signal);
      if (!collection) return [];
      const page = await api.get<Page<KnowledgeDocument>>(
        `/api/collections/${collection.id}/documents?limit=100`,
        signal,
      );
      return page.items;
    },
    refetchInterval: ({ state }) => (state.data?.some(isUnderWay) ? pollMs : false),
  });
  const upload = useMutation({
    mutationFn: async (files: File[]) => {
      const collection =
        (await findCollection(api)) ?? (await api.post<Collection>('/api/collections', { name: collectionName }));
      for (const file of files) {
        const form = new FormData();
        form.append('file', file);
        await api.post(`/api/collections/${collection.id}/documents`, form);
      }
    },
    // Also after a failure: the files before it have arrived.
    onSettled: () => queries.invalidateQueries({ queryKey: ['documents'] }),
  });
  const remove = useMutation({
    mutationFn: (id: string) => api.delete(`/api/documents/${id}`),
    onSettled: () => queries.invalidateQueries({ queryKey: ['documents'] }),
  });
  return { list, upload, remove };
}

export async function findCollection(api: ApiClient, signal?: AbortSignal): Promise<Collection | undefined> {
  const { items } = await api.get<Page<Collection>>('/api/collections?limit=100', signal);
  return items.find((collection) => collection.name === collectionName);
}

function isUnderWay(document: KnowledgeDocument): boolean {
  return document.status !== 'indexed' && document.status !== 'failed';
}
