-- Conversations, their messages and the runs that answer them.
create extension if not exists pg_trgm;

create table sessions (
    id          uuid primary key,
    user_id     uuid not null,
    title       text null,
    pinned      boolean not null default false,
    config      jsonb not null,
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    deleted_at  timestamptz null
);

create index sessions_by_user on sessions (user_id, updated_at desc, id desc) where deleted_at is null;
create index sessions_title_trgm on sessions using gin (title gin_trgm_ops) where deleted_at is null;

create table messages (
    id                      uuid primary key,
    session_id              uuid not null references sessions (id) on delete cascade,
    parent_id               uuid null references messages (id) on delete cascade,
    role                    text not null check (role in ('system', 'user', 'assistant')),
    content                 text not null,
    status                  text not null check (status in ('complete', 'streaming', 'stopped', 'failed')),
    prompt_tokens           integer null,
    cached_tokens           integer null,
    completion_tokens       integer null,
    processing_time_ms      double precision null,
    time_to_first_token_ms  double precision null,
    model                   text null,
    finish_reason           text null,
    parameters              jsonb null,
    citations               jsonb null,
    notices                 jsonb null,
    error                   jsonb null,
    created_at              timestamptz not null
);

create index messages_by_session on messages (session_id, created_at, id);
-- A growing reply is checkpointed every second; it enters the index once, when it is finished.
create index messages_content_trgm on messages using gin (content gin_trgm_ops) where status <> 'streaming';

create table runs (
    id                uuid primary key,
    session_id        uuid not null references sessions (id) on delete cascade,
    user_id           uuid not null,
    tenant_id         text not null,
    user_message_id   uuid not null references messages (id) on delete cascade,
    message_id        uuid not null references messages (id) on delete cascade,
    surface           text not null,
    status            text not null check (status in ('queued', 'running', 'completed', 'stopped', 'failed')),
    passages          jsonb null,
    last_seq          bigint not null default 0,
    cancel_requested  boolean not null default false,
    attempts          integer not null default 0,
    owner             uuid null,
    lease_expires_at  timestamptz null,
    idempotency_key   text null,
    request_hash      bytea null,
    created_at        timestamptz not null,
    started_at        timestamptz null,
    finished_at       timestamptz null
);

-- One reply at a time in a conversation.
create unique index runs_one_active on runs (session_id) where status in ('queued', 'running');
create unique index runs_idempotency on runs (user_id, idempotency_key) where idempotency_key is not null;
-- What a starting process looks for: runs whose owner is gone.
create index runs_active_lease on runs (lease_expires_at) where status in ('queued', 'running');
create index runs_by_session on runs (session_id, created_at desc);
create index runs_by_message on runs (message_id);

create table feedback (
    message_id  uuid not null references messages (id) on delete cascade,
    user_id     uuid not null,
    rating      text not null check (rating in ('up', 'down')),
    reasons     jsonb not null,
    comment     text null,
    updated_at  timestamptz not null,
    primary key (message_id, user_id)
);
