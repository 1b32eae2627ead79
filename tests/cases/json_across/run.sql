INSERT INTO t VALUES (1, '{"b": 1, "a": [1.50, 2e3, "x"]}'), (2, '"\\u00e9"'), (3, NULL), (4, 'null'), (5, '{"long key here": {"z": null, "y": []}}');
UPDATE t SET j = JSON_SET(j, '$.c', 'new') WHERE id = 1;
DELETE FROM t WHERE id = 2;
