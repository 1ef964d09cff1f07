-- Two stream tables over one stream of scores; ties share a rank.

SELECT pgtrickle.create_stream_table(
    name  => 'top_players',
    query => $$
        SELECT player_id, player_name,
               SUM(score) AS total_score,
               COUNT(1) AS games_played,
               RANK() OVER (ORDER BY SUM(score) DESC) AS rank
        FROM game_scores
        GROUP BY player_id, player_name
    $$,
    schedule     => '5s',
    refresh_mode => 'DIFFERENTIAL',
    sink         => 'ducklake',
    ducklake_sink_path     => 's3://pg-trickle-demo/top_players/',
    ducklake_sink_table_id => (SELECT table_id FROM ducklake_table WHERE table_name = 'top_players')
);

SELECT pgtrickle.create_stream_table(
    name  => 'scores_by_game',
    query => $$
        SELECT game_id,
               SUM(score) AS total_score,
               COUNT(DISTINCT player_id) AS player_count,
               MAX(score) AS high_score
        FROM game_scores
        GROUP BY game_id
    $$,
    schedule     => '5s',
    refresh_mode => 'DIFFERENTIAL',
    sink         => 'ducklake',
    ducklake_sink_path     => 's3://pg-trickle-demo/scores_by_game/',
    ducklake_sink_table_id => (SELECT table_id FROM ducklake_table WHERE table_name = 'scores_by_game')
);
