-- One row per run, whatever its ending. The run id makes a second event about the same run harmless.
CREATE TABLE usage_facts (
    run_id             uuid PRIMARY KEY,
    user_id            uuid NOT NULL,
    model              text NOT NULL,
    occurred_at        timestamptz NOT NULL,
    failed             boolean NOT NULL,
    -- stop, length or cancelled for replies; the stable error type for failures
    ending             text NOT NULL,
    surface            text NOT NULL,
    prompt_tokens      integer NOT NULL CHECK (prompt_tokens >= 0),
    cached_tokens      integer NOT NULL CHECK (cached_tokens >= 0),
    completion_tokens  integer NOT NULL CHECK (completion_tokens >= 0),
    citations          integer NOT NULL,
    duration_ms        double precision NOT NULL,
    first_token_ms     double precision
);

CREATE INDEX usage_facts_by_user ON usage_facts (user_id, occurred_at);

-- Roll-up per UTC day, written in the fact's own transaction: what the routes read, so that they never scan facts.
CREATE TABLE usage_daily (
    user_id            uuid NOT NULL,
    day                date NOT NULL,
    model              text NOT NULL,
    requests           bigint NOT NULL,
    failed             bigint NOT NULL,
    prompt_tokens      bigint NOT NULL,
    cached_tokens      bigint NOT NULL,
    completion_tokens  bigint NOT NULL,
    duration_ms        double precision NOT NULL,
    first_token_ms     double precision NOT NULL,
    first_tokens       bigint NOT NULL,
    PRIMARY KEY (user_id, day, model)
);

CREATE INDEX usage_daily_by_day ON usage_daily (day);

-- A later judgement of the same person on the same message replaces the earlier one.
CREATE TABLE feedback (
    user_id     uuid NOT NULL,
    message_id  uuid NOT NULL,
    model       text NOT NULL,
    rating      text NOT NULL CHECK (rating IN ('up', 'down')),
    given_at    timestamptz NOT NULL,
    PRIMARY KEY (user_id, message_id)
);

CREATE TABLE users (
    user_id        uuid PRIMARY KEY,
    user_name      text NOT NULL,
    registered_at  timestamptz NOT NULL
);

-- The latest successful ingestion of each document.
CREATE TABLE indexed_documents (
    document_id  uuid PRIMARY KEY,
    user_id      uuid NOT NULL,
    chunks       integer NOT NULL,
    duration_ms  double precision NOT NULL,
    indexed_at   timestamptz NOT NULL
);

CREATE INDEX indexed_documents_by_user ON indexed_documents (user_id, indexed_at);
CREATE INDEX feedback_by_user ON feedback (user_id, given_at);
