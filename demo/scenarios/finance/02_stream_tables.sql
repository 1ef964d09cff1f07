-- Eleven stream tables; the longest chain is seven deep. Only the two leaves have a schedule of their own.
-- Where the tutorial's queries name a column otherwise than its definitions do, the column is there under both names.

-- Leaves.

SELECT pgtrickle.create_stream_table(
    name  => 'price_snapshot',
    query => $$
        SELECT i.id AS instrument_id, i.ticker, i.name AS instrument_name, s.name AS sector, i.asset_class, p.bid, p.ask,
               p.mid AS mid_price, i.base_price, ROUND(p.mid - i.base_price, 4) AS price_drift,
               ROUND(100.0 * (p.mid - i.base_price) / NULLIF(i.base_price, 0), 2) AS drift_pct, p.updated_at AS price_updated_at,
               i.ticker AS symbol, p.mid
        FROM market_prices p JOIN instruments i ON i.id = p.instrument_id JOIN sectors s ON s.id = i.sector_id
    $$,
    schedule     => '2s',
    refresh_mode => 'DIFFERENTIAL'
);

SELECT pgtrickle.create_stream_table(
    name  => 'net_positions',
    query => $$
        SELECT a.id AS account_id, a.name AS account_name, a.portfolio_id, i.id AS instrument_id, i.ticker, i.sector_id,
               COUNT(t.id) AS trade_count, SUM(t.quantity) AS net_quantity,
               ROUND(SUM(t.quantity * t.price) / NULLIF(SUM(t.quantity), 0), 4) AS avg_cost_basis,
               MIN(t.traded_at) AS first_trade_at, MAX(t.traded_at) AS last_trade_at,
               i.ticker AS instrument_symbol, ROUND(SUM(t.quantity * t.price), 2) AS position_value
        FROM trades t JOIN accounts a ON a.id = t.account_id JOIN instruments i ON i.id = t.instrument_id
        GROUP BY a.id, a.name, a.portfolio_id, i.id, i.ticker, i.sector_id
        HAVING SUM(t.quantity) <> 0
    $$,
    schedule     => '1s',
    refresh_mode => 'DIFFERENTIAL'
);

-- Positions at market value, and what follows from them.

SELECT pgtrickle.create_stream_table(
    name  => 'position_values',
    query => $$
        SELECT np.account_id, np.account_name, np.portfolio_id, np.instrument_id, np.ticker, np.sector_id, np.net_quantity,
               np.avg_cost_basis, ps.mid_price, ps.sector, ps.asset_class,
               ROUND(np.net_quantity * ps.mid_price, 2) AS market_value,
               ROUND(np.net_quantity * (ps.mid_price - np.avg_cost_basis), 2) AS unrealized_pnl,
               ROUND(100.0 * (ps.mid_price - np.avg_cost_basis) / NULLIF(np.avg_cost_basis, 0), 2) AS pnl_pct
        FROM net_positions np JOIN price_snapshot ps ON ps.instrument_id = np.instrument_id
        WHERE np.net_quantity <> 0
    $$,
    schedule     => 'calculated',
    refresh_mode => 'DIFFERENTIAL'
);

SELECT pgtrickle.create_stream_table(
    name  => 'account_pnl',
    query => $$
        SELECT account_id, account_name, portfolio_id, COUNT(*) AS position_count, SUM(market_value) AS total_market_value,
               SUM(unrealized_pnl) AS total_unrealized_pnl,
               ROUND(CASE WHEN SUM(market_value) <> 0 THEN 100.0 * SUM(unrealized_pnl) / ABS(SUM(market_value)) ELSE 0 END, 2) AS portfolio_return_pct,
               SUM(CASE WHEN unrealized_pnl > 0 THEN market_value ELSE 0 END) AS winning_exposure,
               SUM(CASE WHEN unrealized_pnl < 0 THEN market_value ELSE 0 END) AS losing_exposure
        FROM position_values GROUP BY account_id, account_name, portfolio_id
    $$,
    schedule     => 'calculated',
    refresh_mode => 'DIFFERENTIAL'
);

SELECT pgtrickle.create_stream_table(
    name  => 'portfolio_pnl',
    query => $$
        SELECT p.id AS portfolio_id, p.name AS portfolio_name, p.manager, p.strategy, COUNT(DISTINCT a.account_id) AS account_count,
               SUM(a.position_count) AS total_positions, SUM(a.total_market_value) AS total_market_value,
               SUM(a.total_unrealized_pnl) AS total_unrealized_pnl,
               ROUND(CASE WHEN SUM(a.total_market_value) <> 0 THEN 100.0 * SUM(a.total_unrealized_pnl) / ABS(SUM(a.total_market_value)) ELSE 0 END, 2) AS portfolio_return_pct,
               SUM(a.winning_exposure) AS total_winning_exposure, SUM(a.losing_exposure) AS total_losing_exposure
        FROM account_pnl a JOIN portfolios p ON p.id = a.portfolio_id
        GROUP BY p.id, p.name, p.manager, p.strategy
    $$,
    schedule     => 'calculated',
    refresh_mode => 'DIFFERENTIAL'
);

SELECT pgtrickle.create_stream_table(
    name  => 'sector_exposure',
    query => $$
        SELECT sector_id, sector, asset_class, COUNT(DISTINCT instrument_id) AS instrument_count,
               COUNT(DISTINCT account_id) AS account_count, SUM(market_value) AS total_exposure,
               SUM(unrealized_pnl) AS total_unrealized_pnl,
               ROUND(CASE WHEN SUM(market_value) <> 0 THEN 100.0 * SUM(unrealized_pnl) / ABS(SUM(market_value)) ELSE 0 END, 2) AS sector_return_pct,
               ROUND(ABS(SUM(market_value)) / NULLIF((SELECT SUM(ABS(market_value)) FROM position_values), 0) * 100.0, 2) AS pct_of_total_book
        FROM position_values GROUP BY sector_id, sector, asset_class
    $$,
    schedule     => 'calculated',
    refresh_mode => 'DIFFERENTIAL'
);

-- Value at risk, from positions up to portfolios.

SELECT pgtrickle.create_stream_table(
    name  => 'var_contributions',
    query => $$
        SELECT account_id, account_name, portfolio_id, instrument_id, ticker, sector, asset_class, market_value, unrealized_pnl,
               ROUND(ABS(market_value) * CASE asset_class WHEN 'EQUITY' THEN 0.018 WHEN 'BOND' THEN 0.004 WHEN 'ETF' THEN 0.012
                     WHEN 'COMMODITY' THEN 0.025 ELSE 0.015 END * 1.645, 2) AS var_95,
               ROUND(ABS(market_value) * CASE asset_class WHEN 'EQUITY' THEN 0.054 WHEN 'BOND' THEN 0.012 WHEN 'ETF' THEN 0.036
                     WHEN 'COMMODITY' THEN 0.075 ELSE 0.045 END * 2.326, 2) AS stressed_var_99
        FROM position_values WHERE market_value IS NOT NULL
    $$,
    schedule     => 'calculated',
    refresh_mode => 'DIFFERENTIAL'
);

SELECT pgtrickle.create_stream_table(
    name  => 'account_var',
    query => $$
        SELECT account_id, account_name, portfolio_id, COUNT(*) AS position_count, SUM(market_value) AS total_market_value,
               SUM(unrealized_pnl) AS total_pnl, SUM(var_95) AS total_var_95, SUM(stressed_var_99) AS total_stressed_var_99,
               ROUND(SQRT(SUM(var_95 * var_95)), 2) AS diversified_var_95,
               ROUND(SUM(var_95) / NULLIF(ABS(SUM(market_value)), 0) * 100, 4) AS var_pct_of_exposure
        FROM var_contributions GROUP BY account_id, account_name, portfolio_id
    $$,
    schedule     => 'calculated',
    refresh_mode => 'DIFFERENTIAL'
);

SELECT pgtrickle.create_stream_table(
    name  => 'portfolio_var',
    query => $$
        SELECT p.id AS portfolio_id, p.name AS portfolio_name, p.manager, p.strategy, COUNT(DISTINCT a.account_id) AS account_count,
               SUM(a.total_market_value) AS total_market_value, SUM(a.total_pnl) AS total_pnl, SUM(a.total_var_95) AS sum_var_95,
               SUM(a.total_stressed_var_99) AS sum_stressed_var_99,
               ROUND(SQRT(SUM(a.diversified_var_95 * a.diversified_var_95)), 2) AS portfolio_var_95,
               ROUND(SUM(a.total_var_95) / NULLIF(ABS(SUM(a.total_market_value)), 0) * 100, 4) AS var_pct_nav
        FROM account_var a JOIN portfolios p ON p.id = a.portfolio_id
        GROUP BY p.id, p.name, p.manager, p.strategy
    $$,
    schedule     => 'calculated',
    refresh_mode => 'DIFFERENTIAL'
);

-- Capital required against capital allowed.

SELECT pgtrickle.create_stream_table(
    name  => 'regulatory_capital',
    query => $$
        SELECT v.portfolio_id, v.portfolio_name, v.manager, v.strategy, v.total_market_value, v.total_pnl, v.portfolio_var_95,
               ROUND(v.portfolio_var_95 * 3.162 * 3.0, 2) AS required_capital,
               ROUND(v.portfolio_var_95 * 3.162 * 3.0 / NULLIF(ABS(v.total_market_value), 0) * 100, 4) AS capital_ratio_pct,
               c.capital_limit, c.capital_limit - ROUND(v.portfolio_var_95 * 3.162 * 3.0, 2) AS capital_headroom,
               CASE WHEN ROUND(v.portfolio_var_95 * 3.162 * 3.0, 2) > c.capital_limit THEN 'BREACH'
                    WHEN ROUND(v.portfolio_var_95 * 3.162 * 3.0, 2) > 0.8 * c.capital_limit THEN 'WARNING' ELSE 'OK' END AS capital_status
        FROM portfolio_var v
        JOIN (SELECT portfolio_id, SUM(capital_limit) AS capital_limit FROM accounts GROUP BY portfolio_id) c ON c.portfolio_id = v.portfolio_id
    $$,
    schedule     => 'calculated',
    refresh_mode => 'DIFFERENTIAL'
);

SELECT pgtrickle.create_stream_table(
    name  => 'breach_dashboard',
    query => $$
        SELECT ROW_NUMBER() OVER (ORDER BY capital_ratio_pct DESC, portfolio_name) AS rank, portfolio_name, manager, strategy,
               total_market_value, total_pnl, portfolio_var_95, required_capital, capital_limit, capital_headroom,
               ROUND(capital_ratio_pct, 2) AS capital_ratio_pct, capital_status,
               required_capital AS capital_required, ROUND(required_capital / NULLIF(capital_limit, 0), 4) AS utilization_ratio
        FROM regulatory_capital ORDER BY capital_ratio_pct DESC, portfolio_name LIMIT 10
    $$,
    schedule     => 'calculated',
    refresh_mode => 'DIFFERENTIAL'
);
