-- A notification is stored as kind + parameters; text is made when it is read, in the reader's language.
-- user_id NULL = for every administrator, now and later.
CREATE TABLE notifications (
    id          uuid PRIMARY KEY,
    event_id    uuid NOT NULL,
    user_id     uuid,
    kind        text NOT NULL,
    parameters  jsonb NOT NULL,
    -- Delivered without raising the unread count (a finished reply while its reader watches it).
    quiet       boolean NOT NULL,
    created_at  timestamptz NOT NULL,
    -- When its one reader read it; administrators' reads are in administrator_reads.
    read_at     timestamptz,
    -- The same event delivered twice is one notification.
    UNIQUE NULLS NOT DISTINCT (event_id, user_id, kind)
);

CREATE INDEX notifications_by_user ON notifications (user_id, created_at DESC, id DESC);
CREATE INDEX notifications_unread ON notifications (user_id) WHERE read_at IS NULL AND NOT quiet;

CREATE TABLE administrator_reads (
    user_id          uuid NOT NULL,
    notification_id  uuid NOT NULL REFERENCES notifications (id) ON DELETE CASCADE,
    read_at          timestamptz NOT NULL,
    PRIMARY KEY (user_id, notification_id)
);
