CREATE EXTENSION IF NOT EXISTS vector;
CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE TABLE collections (
    id           uuid PRIMARY KEY,
    owner_id     uuid NOT NULL,
    name         text NOT NULL,
    description  text NOT NULL,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL
);

CREATE INDEX collections_by_owner ON collections (owner_id, created_at DESC, id DESC);

CREATE TABLE documents (
    id               uuid PRIMARY KEY,
    collection_id    uuid NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    owner_id         uuid NOT NULL,
    name             text NOT NULL,
    media_type       text NOT NULL,
    size_bytes       bigint NOT NULL,
    -- SHA-256 of the file: the same content twice in one collection is one document.
    content_hash     bytea NOT NULL,
    status           text NOT NULL CHECK (status IN ('stored', 'parsed', 'split', 'embedded', 'indexed', 'failed')),
    failure_reason   text,
    characters       integer NOT NULL DEFAULT 0,
    chunks           integer NOT NULL DEFAULT 0,
    embedded_chunks  integer NOT NULL DEFAULT 0,
    embedding_space  text,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    indexed_at       timestamptz,
    UNIQUE (collection_id, content_hash)
);

CREATE INDEX documents_by_collection ON documents (collection_id, created_at DESC, id DESC);
CREATE INDEX documents_by_owner ON documents (owner_id);
CREATE INDEX documents_by_name ON documents USING gin (name gin_trgm_ops);

-- The extracted text that chunk offsets count in (UTF-16 code units).
CREATE TABLE document_texts (
    document_id  uuid PRIMARY KEY REFERENCES documents (id) ON DELETE CASCADE,
    text         text NOT NULL
);

-- Work to do: at most one job per document. A worker holds it by lease; when the lease runs out, another takes it.
CREATE TABLE ingestion_jobs (
    document_id  uuid PRIMARY KEY REFERENCES documents (id) ON DELETE CASCADE,
    owner_id     uuid NOT NULL,
    run_at       timestamptz NOT NULL DEFAULT now(),
    attempts     integer NOT NULL DEFAULT 0,
    lease_id     uuid,
    lease_until  timestamptz,
    last_error   text,
    created_at   timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX ingestion_jobs_due ON ingestion_jobs (run_at);

-- Vectors of different spaces are never compared. The HNSW index of a space is made when the space first appears.
CREATE TABLE embedding_spaces (
    space       text PRIMARY KEY,
    model       text NOT NULL,
    dimensions  integer NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- Vectors already computed for a document that is not indexed yet: an interrupted ingestion goes on where it was.
-- They go with the document, so that deleting one leaves nothing of it behind.
CREATE TABLE embedding_cache (
    space        text NOT NULL,
    text_hash    bytea NOT NULL,
    document_id  uuid NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    embedding    vector NOT NULL,
    PRIMARY KEY (space, text_hash, document_id)
);

CREATE INDEX embedding_cache_by_document ON embedding_cache (document_id);

CREATE TABLE chunks (
    id             uuid PRIMARY KEY,
    document_id    uuid NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    collection_id  uuid NOT NULL,
    ordinal        integer NOT NULL,
    -- 1-based; 0 where the format has no pages
    page           integer NOT NULL,
    start_offset   integer NOT NULL,
    end_offset     integer NOT NULL,
    text           text NOT NULL,
    headings       text[] NOT NULL,
    space          text NOT NULL,
    embedding      vector NOT NULL,
    -- SHA-256 of what was embedded (headings and text): the same input in the same space is not embedded again.
    embedded_hash  bytea NOT NULL,
    UNIQUE (document_id, ordinal)
);

CREATE INDEX chunks_by_collection ON chunks (collection_id);
CREATE INDEX chunks_by_hash ON chunks (space, embedded_hash);

-- The lexical index: our own postings, because PostgreSQL's text search knows no Korean and ranks with AND.
-- length repeats the chunk's length in terms so that ranking reads one table.
CREATE TABLE postings (
    term           text NOT NULL,
    collection_id  uuid NOT NULL,
    chunk_id       uuid NOT NULL REFERENCES chunks (id) ON DELETE CASCADE,
    frequency      integer NOT NULL,
    length         integer NOT NULL,
    PRIMARY KEY (term, collection_id, chunk_id)
);

CREATE INDEX postings_by_chunk ON postings (chunk_id);

-- Document frequencies and lengths per collection, kept in the transaction that writes the chunks: statistics of a search
-- are sums over what the reader may see, so they neither need a rebuild nor tell anything about others' documents.
CREATE TABLE collection_terms (
    collection_id  uuid NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    term           text NOT NULL,
    chunks         integer NOT NULL,
    PRIMARY KEY (collection_id, term)
);

CREATE TABLE collection_statistics (
    collection_id  uuid PRIMARY KEY REFERENCES collections (id) ON DELETE CASCADE,
    chunks         bigint NOT NULL,
    length         bigint NOT NULL
);
