package metrics

import (
	"bufio"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// maxScrapes is how many scrapes are answered at the same time.
const maxScrapes = 40

// Handler answers every path that is served, and nothing else.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, p := range pages() {
		mux.Handle("GET "+p.path, s.scrape(&p))
	}
	mux.Handle("GET /healthz", health("healthz", s.live()))
	mux.Handle("GET /readyz", health("readyz", s.readiness()))
	return s.bounded(mux)
}

// bounded refuses what comes while too many are being answered.
func (s *Server) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
			next.ServeHTTP(w, r)
		default:
			s.refused.Add(1)
			w.Header().Set("Retry-After", "5")
			http.Error(w, "too many scrapes at the same time", http.StatusServiceUnavailable)
		}
	})
}

// scrape answers with a page.
func (s *Server) scrape(p *page) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		format := expfmt.NegotiateAccept(r.Header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
		if p.textOnly {
			format = expfmt.NewFormat(expfmt.TypeTextPlain)
		}
		v := s.view(r.Context(), p)
		w.Header().Set("Content-Type", string(format))
		to, end := compressed(w, r)
		out := bufio.NewWriterSize(to, 32<<10)
		// Whoever reads may go at any time; nobody else wants to know.
		if err := s.writePage(out, format, p, v); err == nil && out.Flush() == nil {
			end()
		}
	})
}

func (s *Server) writePage(w io.Writer, format expfmt.Format, p *page, v *view) error {
	// No name here needs to be escaped, for which all rows would be copied.
	encoder := expfmt.NewEncoder(w, format.WithEscapingScheme(model.NoEscaping))
	r := s.rows.Get().(*rows)
	defer s.rows.Put(r)
	series, dropped, err := p.write(v, r, s.cfg.MaxSeries, encoder.Encode)
	if err != nil {
		return err
	}
	if p.process {
		more, err := s.writeProcess(encoder.Encode)
		if err != nil {
			return err
		}
		series += more
	}
	s.mu.Lock()
	s.series[p.path] = series
	s.mu.Unlock()
	s.dropped.Add(uint64(dropped))
	if c, ok := encoder.(expfmt.Closer); ok {
		return c.Close()
	}
	return nil
}

// writeProcess adds what client_golang tells of Go and of the process.
func (s *Server) writeProcess(encode func(*dto.MetricFamily) error) (series int, err error) {
	families, err := s.process.Gather()
	if err != nil {
		return 0, err
	}
	for _, f := range families {
		series += len(f.Metric)
		if err := encode(f); err != nil {
			return series, err
		}
	}
	return series, nil
}

// compressed compresses for those who want that, but not on this server
// itself, where it costs more than it saves.
func compressed(w http.ResponseWriter, r *http.Request) (to io.Writer, end func()) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	local := err == nil && net.ParseIP(host).IsLoopback()
	if local || !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		return w, func() {}
	}
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Add("Vary", "Accept-Encoding")
	z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is a valid one
	return z, func() { _ = z.Close() }
}
