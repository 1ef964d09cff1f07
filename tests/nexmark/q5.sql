-- Hot items: the auctions with the most bids in each window of five minutes that begins with a minute.
WITH counted AS (
    SELECT b.auction, count(*) AS num, date_trunc('minute', b.date_time) - hop.back AS starttime
    FROM bid AS b, (VALUES (interval '0 minutes'), (interval '1 minute'), (interval '2 minutes'),
                           (interval '3 minutes'), (interval '4 minutes')) AS hop (back)
    GROUP BY b.auction, date_trunc('minute', b.date_time) - hop.back)
SELECT c.starttime, c.auction, c.num
FROM counted AS c
JOIN (SELECT max(num) AS maxn, starttime FROM counted GROUP BY starttime) AS m
  ON c.starttime = m.starttime AND c.num >= m.maxn
