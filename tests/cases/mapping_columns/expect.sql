SELECT id, email, name, phone, country, n, notes FROM u ORDER BY id;
-- = 1|hidden|Än|NULL|DE|11|NULL
