-- Game scores, and the small lake catalog that the stream tables' sink is registered in.

CREATE TABLE game_scores (
    score_id    bigserial PRIMARY KEY,
    player_id   int NOT NULL,
    player_name text NOT NULL,
    game_id     int NOT NULL,
    score       int NOT NULL,
    scored_at   timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE ducklake_table (
    table_id    bigserial PRIMARY KEY,
    schema_name text NOT NULL DEFAULT 'public',
    table_name  text NOT NULL,
    data_path   text NOT NULL
);

INSERT INTO ducklake_table (table_name, data_path) VALUES
    ('top_players', 's3://pg-trickle-demo/top_players/'),
    ('scores_by_game', 's3://pg-trickle-demo/scores_by_game/');
