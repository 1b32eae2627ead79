-- about: tables without a key whose rows are told apart by floating point numbers of up to 17 digits
CREATE TABLE t (d DOUBLE, f FLOAT);
