-- "Multi-Engine Leaderboard", steps 3 and 5 and the README's form: the statements as printed. What the demo's own script
-- has created under this name makes room first.
SELECT pgtrickle.drop_stream_table('top_players');

SELECT pgtrickle.create_stream_table(
    'top_players',
    query => $$
        SELECT player_id, player_name,
               SUM(score) AS total_score,
               COUNT(*) AS games_played,
               RANK() OVER (ORDER BY SUM(score) DESC) AS rank
        FROM game_scores
        GROUP BY player_id, player_name
    $$,
    schedule => '5s',
    refresh_mode => 'DIFFERENTIAL',
    sink => 'ducklake',
    ducklake_sink_path => 's3://pg-trickle-demo/top_players/'
);

SELECT pgtrickle.drop_stream_table('top_players');

SELECT pgtrickle.create_stream_table(
    name => 'top_players',
    query => $$
        SELECT player_id, player_name,
               SUM(score) AS total_score,
               COUNT(1) AS games_played,
               RANK() OVER (ORDER BY SUM(score) DESC) AS rank
        FROM game_scores
        GROUP BY player_id, player_name
    $$,
    schedule => '5s',
    refresh_mode => 'DIFFERENTIAL',
    sink => 'ducklake',
    ducklake_sink_path => 's3://pg-trickle-demo/top_players/',
    ducklake_sink_table_id => (SELECT table_id FROM ducklake_table WHERE table_name = 'top_players')
);

SELECT pgt_name, pgt_schema, refresh_mode, schedule, status, is_populated
FROM pgtrickle.pgt_stream_tables
ORDER BY pgt_name;

SELECT rank, player_name, total_score, games_played
FROM top_players
ORDER BY rank
LIMIT 10;

-- Watch this query — rank 1 may change as scores accumulate
SELECT rank, player_name, total_score
FROM top_players
WHERE rank <= 3
ORDER BY rank;

SELECT stream_table_name, ducklake_snapshot_id, delta_row_count, written_at
FROM pgtrickle.pgt_ducklake_provenance
ORDER BY written_at DESC
LIMIT 10;
