-- A sign-in is a family of refresh tokens: one is current, the consumed ones are kept to notice a stolen copy.
CREATE TABLE sign_ins (
    id            uuid PRIMARY KEY,
    user_id       uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    client_id     text NOT NULL,
    user_agent    text,
    created_at    timestamptz NOT NULL,
    last_used_at  timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    revoked_at    timestamptz,
    revoke_reason text
);
CREATE INDEX sign_ins_user ON sign_ins (user_id, created_at DESC);

CREATE TABLE refresh_tokens (
    token_hash  bytea PRIMARY KEY,
    sign_in_id  uuid NOT NULL REFERENCES sign_ins ON DELETE CASCADE,
    created_at  timestamptz NOT NULL,
    consumed_at timestamptz
);
CREATE INDEX refresh_tokens_sign_in ON refresh_tokens (sign_in_id);
