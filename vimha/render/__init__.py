"""Site and timings become artefacts, through cib_templates: the CIB, corosync.conf, haproxy.cfg and so on."""
