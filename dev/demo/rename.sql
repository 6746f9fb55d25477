SELECT pgxc.start_rename('packages', 'package', 'package_name', name => 'rename');
