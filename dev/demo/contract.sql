SELECT pgxc.contract('rename');
