package tracing

import (
	"net/http"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Handler returns next with a span for each request, save those for health. route is the path of questions, and the
// paths below it: a span names no other path, nor a query.
func (t *Tracer) Handler(next http.Handler, route, health string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == health {
			next.ServeHTTP(w, r)
			return
		}
		name := methodOf(r.Method)
		attributes := []attribute.KeyValue{semconv.HTTPRequestMethodKey.String(name)}
		if r.URL.Path == route || strings.HasPrefix(r.URL.Path, route+"/") {
			name += " " + route
			attributes = append(attributes, semconv.HTTPRoute(route))
		}
		ctx, span := t.start(r.Context(), propagation.HeaderCarrier(r.Header), name, attributes...)
		defer span.End()
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(seen, r.WithContext(ctx))
		span.SetAttributes(semconv.HTTPResponseStatusCode(seen.status))
		if seen.status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
	})
}

// methods are those that a span names.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodConnect, http.MethodOptions, http.MethodTrace,
}

// methodOf returns the method of a request as a span names it: a client can send any word.
func methodOf(method string) string {
	if slices.Contains(methods, method) {
		return method
	}
	return "_OTHER"
}

// A statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// Unwrap is for [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements [http.ResponseWriter].
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}
