package audit

func openSyslog(o Options) (Exporter, error) {
	_, err := endpoint(o.Sink.Endpoint, "tcp")
	return nil, err
}
