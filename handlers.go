package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxBody                   = 100 << 10 // bytes of a request body
	statusClientClosedRequest = 499       // nginx's status for a client that disconnected; only the log shows it
)

// newHandler returns the handler for the frontend's API. It creates sessions and connections with ov, and logs every request.
// Pages from the given origins may read the responses; "*" means any origin.
func newHandler(ov *openVidu, origins []string, logger *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /api/sessions", handle(func(r *http.Request, properties []byte) (string, error) {
		return ov.createSession(r.Context(), properties)
	}))
	mux.Handle("POST /api/sessions/{sessionId}/connections", handle(func(r *http.Request, properties []byte) (string, error) {
		return ov.createConnection(r.Context(), r.PathValue("sessionId"), properties)
	}))
	// MaxBytesHandler is outermost because it needs net/http's own ResponseWriter. Only then does net/http delay closing the
	// connection after an oversized body, so that the response arrives.
	return http.MaxBytesHandler(logRequests(logger, cors(origins, readBody(mux))), maxBody)
}

// handle returns a handler that calls create with the properties in the request body and responds with the session ID or
// token that create returns.
func handle(create func(r *http.Request, properties []byte) (string, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		properties, err := readProperties(r)
		if err != nil {
			fail(w, r, err)
			return
		}
		text, err := create(r, properties)
		if err != nil {
			fail(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		io.WriteString(w, text)
	})
}

// requestError reports a request body that can't be used, with the status and text of the response.
type requestError struct {
	status int
	text   string
}

func (e requestError) Error() string { return e.text }

// readProperties returns the request body, which must be a JSON object in UTF-8 (RFC 8259, section 8.1). It returns {}
// if the body is empty.
func readProperties(r *http.Request) ([]byte, error) {
	body, _ := io.ReadAll(r.Body) // never fails, because readBody has read it
	if len(body) == 0 {
		return []byte("{}"), nil
	}
	if !utf8.Valid(body) {
		return nil, requestError{http.StatusBadRequest, "request body must be UTF-8"}
	}
	if !json.Valid(body) || !bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		return nil, requestError{http.StatusBadRequest, "request body must be a JSON object"}
	}
	return body, nil
}

// fail maps err to a status and a message, responds with them, and adds err to the request's log line.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	status, text := http.StatusInternalServerError, "internal server error: see the server's log"
	unusable, isUnusable := errors.AsType[requestError](err)
	invalid, isInvalid := errors.AsType[invalidRequestError](err)
	openvidu, isOpenVidu := errors.AsType[openviduError](err)
	switch {
	case isUnusable:
		status, text = unusable.status, unusable.text
	case isInvalid:
		status, text = http.StatusBadRequest, invalid.Error()
	case errors.Is(err, errSessionNotFound):
		status, text = http.StatusNotFound, errSessionNotFound.Error()
	case errors.Is(err, context.Canceled):
		status, text = statusClientClosedRequest, "client disconnected"
	// This case comes before the next one because errTimeout is an openviduError, too.
	case errors.Is(err, errTimeout):
		status, text = http.StatusGatewayTimeout, errTimeout.Error()
	case isOpenVidu:
		status, text = http.StatusBadGateway, openvidu.Error()
	}
	addLogAttr(r, "error", err.Error())
	http.Error(w, text, status)
}

// readBody reads the whole request body before next runs. An earlier response could be lost: if the connection then closes, which
// is what nginx asks for by default, unread data makes TCP reset it (RFC 9112, section 9.6).
func readBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		_, tooLarge := errors.AsType[*http.MaxBytesError](err)
		switch {
		case tooLarge:
			fail(w, r, requestError{http.StatusRequestEntityTooLarge, fmt.Sprintf("request body exceeds %d KiB", maxBody>>10)})
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			fail(w, r, requestError{http.StatusRequestTimeout, "timed out reading request body"})
			return
		case err != nil:
			fail(w, r, fmt.Errorf("%w: %w", requestError{http.StatusBadRequest, "cannot read request body"}, err))
			return
		}
		r2 := *r // a handler must not modify its request
		r2.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, &r2)
	})
}

// cors adds CORS headers to every response, errors included, and responds to preflights
// (https://fetch.spec.whatwg.org/#http-cors-protocol).
func cors(origins []string, next http.Handler) http.Handler {
	anyOrigin := slices.Contains(origins, "*")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		if anyOrigin {
			header.Set("Access-Control-Allow-Origin", "*")
		} else {
			header.Set("Vary", "Origin")
			origin := r.Header.Get("Origin")
			if slices.Contains(origins, origin) {
				header.Set("Access-Control-Allow-Origin", origin)
			} else if origin != "" {
				addLogAttr(r, "origin_not_allowed", origin) // the browser won't let the page read the response
			}
		}
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			header.Set("Access-Control-Allow-Methods", http.MethodPost)
			header["Access-Control-Allow-Headers"] = r.Header["Access-Control-Request-Headers"]
			header.Set("Access-Control-Max-Age", "7200") // seconds; Chromium's maximum
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// logAttrsKey is the key of the context value that contains a *[]slog.Attr for the request's log line.
type logAttrsKey struct{}

// addLogAttr adds an attribute to the log line of r, which must have passed through logRequests.
func addLogAttr(r *http.Request, name, value string) {
	attrs := r.Context().Value(logAttrsKey{}).(*[]slog.Attr)
	*attrs = append(*attrs, slog.String(name, withoutSecrets(value)))
}

var tokenPattern = regexp.MustCompile(`tok_\w*`)

// withoutSecrets replaces the tokens and the credentials of URLs in text, which goes to the log. Clients may send them in a path,
// in the Origin header, or in a property that OpenVidu's message quotes. It takes linear time, unlike a pattern with :/.*@.
func withoutSecrets(text string) string {
	text = tokenPattern.ReplaceAllString(text, "[removed]")
	before, rest, _ := strings.Cut(text, ":/") // one slash, because the ServeMux replaces // in a path
	if end := strings.LastIndex(rest, "@"); end >= 0 {
		return before + ":/[removed]" + rest[end:]
	}
	return text
}

// logRequests logs a line for every request, with the attributes that next adds. The level of a 5xx is ERROR.
func logRequests(logger *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		recorder := &statusRecorder{w, http.StatusOK}
		var added []slog.Attr
		next.ServeHTTP(recorder, r.WithContext(context.WithValue(r.Context(), logAttrsKey{}, &added)))
		level := slog.LevelInfo
		if recorder.status >= http.StatusInternalServerError {
			level = slog.LevelError
		}
		attrs := []slog.Attr{
			slog.String("method", withoutSecrets(r.Method)),
			slog.String("path", withoutSecrets(r.URL.Path)),
			slog.Int("status", recorder.status),
			slog.Duration("duration", time.Since(start)),
		}
		logger.LogAttrs(r.Context(), level, "request", append(attrs, added...)...)
	})
}

// statusRecorder is a ResponseWriter that records the status.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (w *statusRecorder) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}
