package metrics

// resourceFamilies are those that readers such as metrics-server want.
func resourceFamilies() []family {
	container := []string{"container", "namespace", "pod"}
	of := func(name string, kind metricKind, help string, pods bool, value func(s *subject, v *view) (float64, bool)) family {
		labels := container
		if pods {
			labels = container[1:]
		}
		return family{name: name, kind: kind, help: help, labels: labels, each: over(func(s *subject, v *view, row emit) {
			n, ok := value(s, v)
			switch {
			case !ok || pods != (s.container == nil):
			case pods:
				row(n, []string{s.pod.Instance.Namespace, s.pod.Instance.Name})
			default:
				row(n, []string{s.container.Name, s.pod.Instance.Namespace, s.pod.Instance.Name})
			}
		})}
	}
	cpu := func(s *subject, _ *view) (float64, bool) {
		if s.stats.CPU == nil {
			return 0, false
		}
		return s.stats.CPU.Total.Seconds(), true
	}
	memory := func(s *subject, _ *view) (float64, bool) {
		if s.stats.Memory == nil {
			return 0, false
		}
		return float64(s.stats.Memory.WorkingSet), true
	}
	return []family{
		{name: "node_cpu_usage_seconds_total", kind: counter, help: "Processor time used by the whole server.", each: func(v *view, row emit) {
			if v.stats != nil && v.stats.nodeRead {
				row(v.stats.node.CPU.Seconds(), nil)
			}
		}},
		{name: "node_memory_working_set_bytes", kind: gauge, help: "Memory of the whole server that can't be given back.", each: func(v *view, row emit) {
			if v.stats != nil && v.stats.nodeRead {
				row(float64(v.stats.node.WorkingSet), nil)
			}
		}},
		of("pod_cpu_usage_seconds_total", counter, "Processor time used by a pod.", true, cpu),
		of("pod_memory_working_set_bytes", gauge, "Memory of a pod that can't be given back.", true, memory),
		of("container_cpu_usage_seconds_total", counter, "Processor time used by a container.", false, cpu),
		of("container_memory_working_set_bytes", gauge, "Memory of a container that can't be given back.", false, memory),
		of("container_start_time_seconds", gauge, "When the container was started, as Unix time.", false, started),
		{name: "scrape_error", kind: gauge, help: "1 when statistics could not be read in time and older ones are shown, or none.", each: func(v *view, row emit) {
			row(boolean(v.stats == nil || v.now.Sub(v.stats.at) > readingAge+readingWait || !v.stats.nodeRead), nil)
		}},
	}
}
