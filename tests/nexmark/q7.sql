-- Highest bid of each minute.
SELECT b.auction, b.price, b.bidder, b.date_time, b.extra
FROM bid AS b
JOIN (
    SELECT max(price) AS maxprice, date_trunc('minute', date_time) AS starttime
    FROM bid
    GROUP BY date_trunc('minute', date_time)) AS m
  ON b.price = m.maxprice
WHERE b.date_time >= m.starttime AND b.date_time < m.starttime + interval '1 minute'
