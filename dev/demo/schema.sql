-- The shop as it was before the migrations.
CREATE TABLE packages (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	package text NOT NULL,
	version text NOT NULL,
	section text,
	priority text,
	maintainer text NOT NULL,
	homepage text,
	depends text,
	tags text,
	description text,
	installed_size bigint,
	uploads integer NOT NULL DEFAULT 0
);
CREATE INDEX packages_package ON packages (package);
CREATE INDEX packages_maintainer ON packages (maintainer);
