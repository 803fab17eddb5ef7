-- SPDX-License-Identifier: Apache-2.0
-- A journal as the first version wrote it.
PRAGMA journal_mode = WAL;
CREATE TABLE events (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, node TEXT, body TEXT NOT NULL) STRICT;
CREATE INDEX events_by_node ON events (node, number);
CREATE TABLE logs (run TEXT NOT NULL, node TEXT NOT NULL, start INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (run, start)) STRICT;
CREATE TABLE log_ends (run TEXT PRIMARY KEY, node TEXT NOT NULL, end_at INTEGER NOT NULL, kept INTEGER NOT NULL, lost INTEGER NOT NULL) STRICT;
CREATE TABLE documents (key TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
PRAGMA user_version = 1;
INSERT INTO events VALUES (1, 1700000000000, 'node-1', '{"happened":"node-added"}');
INSERT INTO events VALUES (2, 1700000000000, 'node-2', '{"happened":"node-added"}');
INSERT INTO events VALUES (3, 1700000001000, 'node-1', '{"happened":"run-ordered","run":"node-1-1","hand_over":"kexec","window_closes":1700000901000}');
INSERT INTO events VALUES (4, 1700000001000, 'node-1', '{"happened":"phase-changed","from":"known","to":"ordered","reason":null}');
INSERT INTO events VALUES (5, 1700000010000, 'node-1', '{"happened":"boot-seen","sighting":{"saw":"file-sent","file":"snponly.efi","length":1048576,"by":"tftp"}}');
INSERT INTO events VALUES (6, 1700000010000, 'node-1', '{"happened":"phase-changed","from":"ordered","to":"booting","reason":null}');
INSERT INTO events VALUES (7, 1700000020000, 'node-1', '{"happened":"enrolled","run":"node-1-1","boot_id":"11111111-1111-1111-1111-111111111111","key":"sha256:0000000000000000000000000000000000000000000000000000000000000001"}');
INSERT INTO events VALUES (8, 1700000020000, 'node-1', '{"happened":"phase-changed","from":"booting","to":"checking","reason":null}');
INSERT INTO events VALUES (9, 1700000030000, 'node-1', '{"happened":"phase-changed","from":"checking","to":"deploying","reason":null}');
INSERT INTO events VALUES (10, 1700000040000, 'node-1', '{"happened":"phase-changed","from":"deploying","to":"handed-over","reason":null}');
INSERT INTO events VALUES (11, 1700000050000, 'node-1', '{"happened":"phase-changed","from":"handed-over","to":"ready","reason":null}');
INSERT INTO events VALUES (12, 1700000090000, 'node-1', '{"happened":"phase-changed","from":"ready","to":"silent","reason":{"code":"host-silent","part":null,"what":"its host has not called for 15 s","evidence":["last heard 15 s ago"],"since":1700000090000,"deadline":null,"next_automatic":"it is ready again when its host calls","next_step":"look at the machine"}}');
INSERT INTO events VALUES (13, 1700000100000, 'node-2', '{"happened":"run-ordered","run":"node-2-1","hand_over":"reboot","window_closes":1700001000000}');
INSERT INTO events VALUES (14, 1700000100000, 'node-2', '{"happened":"phase-changed","from":"known","to":"ordered","reason":null}');
INSERT INTO events VALUES (15, 1700001000000, 'node-2', '{"happened":"phase-changed","from":"ordered","to":"held","reason":{"code":"enrolment-expired","part":null,"what":"the machine did not enrol in time","evidence":[],"since":1700001000000,"deadline":null,"next_automatic":"nothing: it waits for an order","next_step":"provision it again"}}');
INSERT INTO logs VALUES ('node-1-1', 'node-1', 0, 'the first line' || char(10));
INSERT INTO log_ends VALUES ('node-1-1', 'node-1', 15, 15, 0);
