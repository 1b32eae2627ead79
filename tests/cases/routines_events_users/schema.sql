-- about: routines, events and accounts stay where they are, and don't stop the flow
CREATE TABLE t (id INT PRIMARY KEY, n INT);
