-- The world of the benchmark: 1 province, 1 city, 16 counties and what lies below them; volunteers spread over all of
-- them. Every value is computed from the row's number, so that each run measures the same rows.
--
-- `{organizations}` and `{volunteers}` are numbers of rows; `{numbers(n)}` is a table of 1 … n, `{id(kind, n)}`
-- the id of the n-th record of a kind, `{bytes(length, n)}` bytes that no other row has: both databases have words of
-- their own for these.

INSERT INTO organizations (id, code, name, kind, parent_id, status, version, created_at, updated_at)
SELECT {id(1, n)},
       CASE WHEN n = 1 THEN 'hn' WHEN n = 2 THEN 'zz' ELSE 'zz-' || n END,
       CASE WHEN n = 1 THEN '河南省见义勇为基金会' WHEN n = 2 THEN '郑州市见义勇为协会' ELSE '第' || n || '见义勇为协会' END,
       CASE WHEN n = 1 THEN 'provincial_foundation' WHEN n = 2 THEN 'city_association' WHEN n <= 18 THEN 'county_association' ELSE 'other' END,
       CASE WHEN n = 1 THEN NULL WHEN n = 2 THEN {id(1, 1)} WHEN n <= 18 THEN {id(1, 2)} ELSE {id(1, 3 + n % 16)} END,
       'active', 1, '2024-07-01T00:00:00.000000Z', '2024-07-01T00:00:00.000000Z'
FROM {numbers({organizations})};

INSERT INTO organization_closure (ancestor_id, descendant_id, depth)
WITH RECURSIVE up (ancestor_id, descendant_id, depth) AS (
    SELECT id, id, 0 FROM organizations
    UNION ALL
    SELECT o.parent_id, up.descendant_id, up.depth + 1 FROM up JOIN organizations o ON o.id = up.ancestor_id WHERE o.parent_id IS NOT NULL
)
SELECT ancestor_id, descendant_id, depth FROM up ORDER BY 1, 2;

-- Surnames and given names with their usual unevenness: the commonest surname is one in sixteen.
INSERT INTO persons (id, code, organization_id, name, gender, id_number_sealed, id_number_hash, id_number_masked,
                     phone_sealed, phone_hash, phone_masked, version, created_at, updated_at)
SELECT {id(2, n)}, 'P' || (1000000 + n), {id(1, 2 + {hash(2654435761)} % ({organizations} - 1))},
       substr(surnames, 1 + {hash(2246822519)} % length(surnames), 1)
           || substr(given, 1 + {hash(3266489917)} % length(given), 1)
           || CASE WHEN {hash(668265263)} % 10 < 7 THEN substr(given, 1 + {hash(374761393)} % length(given), 1) ELSE '' END,
       CASE WHEN n % 2 = 0 THEN 'female' ELSE 'male' END,
       {bytes(47, n)}, {bytes(32, n)}, '410***********' || (1000 + n % 9000),
       {bytes(40, n)}, {bytes(32, n + 1000000)}, '199****' || (1000 + n % 9000),
       1, '2024-07-01T00:00:00.000000Z', '2024-07-01T00:00:00.000000Z'
FROM {numbers({volunteers})},
     (SELECT '王王王王王王王王李李李李李李李李张张张张张张张张刘刘刘刘刘陈陈陈陈陈杨杨杨赵赵赵黄黄周周吴吴徐徐孙孙胡胡朱朱高高林何郭马罗梁宋郑谢韩唐冯于董程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史' AS surnames,
             '伟伟芳芳娜敏敏静丽丽强强磊军军洋勇勇艳杰杰娟涛明明超秀秀霞平平刚桂英英英华华华玉玉萍红红健国国建建文文志志海波春梅兰凤云龙飞鹏宇浩然子轩梓涵欣怡雨婷思佳俊豪嘉诚晓东立新永康德福光辉少林振庆宏亮金生长山' AS given) AS names;

INSERT INTO volunteers (id, code, organization_id, person_id, sector, status, registered_on, registered_on_precision, version, created_at, updated_at)
SELECT {id(3, n)}, 'V' || (1000000 + n), {id(1, 2 + {hash(2654435761)} % ({organizations} - 1))}, {id(2, n)},
       CASE n % 4 WHEN 0 THEN 'sanitation' WHEN 1 THEN 'delivery' WHEN 2 THEN 'taxi' ELSE 'security' END,
       'active', '2022-05-01', 'exact', 1, '2024-07-01T00:00:00.000000Z', '2024-07-01T00:00:00.000000Z'
FROM {numbers({volunteers})};

INSERT INTO volunteer_teams (id, code, organization_id, name, base_kind, established_on, established_on_precision, status, version, created_at, updated_at)
SELECT {id(4, n)}, 'T' || (1000000 + n), {id(1, n)}, '第' || n || '志愿者队伍', 'village_community', '2022-03-01', 'exact', 'active', 1,
       '2024-07-01T00:00:00.000000Z', '2024-07-01T00:00:00.000000Z'
FROM {numbers({organizations})};

INSERT INTO memberships (id, code, organization_id, volunteer_id, team_id, joined_on, version, created_at, updated_at)
SELECT {id(5, n)}, 'M' || (1000000 + n), {id(1, 2 + {hash(2654435761)} % ({organizations} - 1))}, {id(3, n)},
       {id(4, 2 + {hash(2654435761)} % ({organizations} - 1))}, '2022-05-01', 1, '2024-07-01T00:00:00.000000Z', '2024-07-01T00:00:00.000000Z'
FROM {numbers({volunteers})};

INSERT INTO audit_events (id, at, action, resource, record_id, organization_id, request_id, detail)
SELECT {id(6, n)}, '2024-07-01T00:00:00.000000Z', 'create', 'volunteers', {id(3, n)},
       {id(1, 2 + {hash(2654435761)} % ({organizations} - 1))}, 'seed', '{"code":"V' || (1000000 + n) || '","status":"active"}'
FROM {numbers({volunteers})};
