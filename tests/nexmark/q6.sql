-- Average selling price by seller, over the last ten auctions.
SELECT q.seller, q.id, avg(q.final) OVER (
    PARTITION BY q.seller ORDER BY q.expires, q.id ROWS BETWEEN 10 PRECEDING AND CURRENT ROW) AS average
FROM (
    SELECT max(b.price) AS final, a.seller, a.id, a.expires
    FROM auction AS a, bid AS b
    WHERE a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires
    GROUP BY a.id, a.seller, a.expires) AS q
