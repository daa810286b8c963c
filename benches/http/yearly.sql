-- The year's work of a city with as many county associations as the world has organizations: those that lay below the sixteen are counties of
-- their own, right below the city. And what a year leaves behind: what was published, built, inspected and paid.
-- `{organizations}` and `{records}` are numbers of rows; see `seed.sql` for the other words.

DELETE FROM organization_closure
WHERE ancestor_id IN (SELECT id FROM organizations WHERE kind = 'county_association') AND depth > 0;

UPDATE organization_closure SET depth = depth - 1
WHERE descendant_id IN (SELECT id FROM organizations WHERE kind = 'other') AND depth > 1;

UPDATE organizations SET kind = 'county_association', parent_id = {id(1, 2)} WHERE kind = 'other';

INSERT INTO media_items (id, code, organization_id, kind, year, published_on, quantity, quantity_precision, version, created_at, updated_at)
SELECT {id(7, n)}, 'N' || (1000000 + n), {id(1, 2 + {hash(2654435761)} % ({organizations} - 1))},
       CASE n % 4 WHEN 0 THEN 'news_story' WHEN 1 THEN 'douyin_video' WHEN 2 THEN 'wechat_article' ELSE 'website_item' END,
       2021 + n % 3, NULL, 1 + n % 7, CASE n % 50 WHEN 0 THEN 'at_least' ELSE 'exact' END, 1,
       '2024-07-01T00:00:00.000000Z', '2024-07-01T00:00:00.000000Z'
FROM {numbers({records})};

INSERT INTO inspections (id, code, organization_id, inspector_id, year, inspected_on, topics, version, created_at, updated_at)
SELECT {id(8, n)}, 'I' || (1000000 + n), {id(1, 2 + {hash(2654435761)} % ({organizations} - 1))}, {id(1, 2)}, 2022, '2022-06-01', '四个一工程', 1,
       '2024-07-01T00:00:00.000000Z', '2024-07-01T00:00:00.000000Z'
FROM {numbers({organizations})};

INSERT INTO trainings (id, code, organization_id, kind, topic, audience, year, attendances, attendances_precision, version, created_at, updated_at)
SELECT {id(9, n)}, 'R' || (1000000 + n), {id(1, 2 + {hash(2654435761)} % ({organizations} - 1))}, 'liaison_training', '联络员培训', 'liaison_officers',
       2021 + n % 3, 20 + n % 30, 'exact', 1, '2024-07-01T00:00:00.000000Z', '2024-07-01T00:00:00.000000Z'
FROM {numbers({organizations})};

UPDATE disbursements SET state = 'paid', paid_on = '2022-06-17' WHERE code < 'E' || (1000000 + {records});
