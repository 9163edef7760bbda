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
	"slices"
	"time"
	"unicode/utf8"
)

const (
	maxBody                   = 100 << 10 // bytes of a request body
	statusClientClosedRequest = 499       // nginx's status for a client that disconnected; only the log shows it
)

// newHandler returns the handler for the frontend's API. It creates sessions and connections with ov and logs every request
// and the cause of every 5xx. Pages of the given origins may read the responses; "*" means any origin.
func newHandler(ov *openVidu, origins []string, logger *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /api/sessions", handle(logger, func(r *http.Request, properties []byte) (string, error) {
		return ov.createSession(r.Context(), properties)
	}))
	mux.Handle("POST /api/sessions/{sessionId}/connections", handle(logger, func(r *http.Request, properties []byte) (string, error) {
		return ov.createConnection(r.Context(), r.PathValue("sessionId"), properties)
	}))
	return limitBody(logRequests(logger, cors(origins, mux)))
}

// handle returns a handler that calls create with the properties in the request body and responds with the session ID or
// token that create returns.
func handle(logger *slog.Logger, create func(r *http.Request, properties []byte) (string, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		properties, err := readProperties(r)
		if err != nil {
			fail(logger, w, r, err)
			return
		}
		text, err := create(r, properties)
		if err != nil {
			fail(logger, w, r, err)
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
// if the body is empty. Its errors are, or wrap, a requestError.
func readProperties(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, bodyError(err)
	}
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

// bodyError returns the requestError for err, which occurred while the request body was read.
func bodyError(err error) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return requestError{http.StatusRequestEntityTooLarge, fmt.Sprintf("request body exceeds %d KiB", tooLarge.Limit>>10)}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return requestError{http.StatusRequestTimeout, "timed out reading request body"}
	}
	return fmt.Errorf("%w: %w", requestError{http.StatusBadRequest, "cannot read request body"}, err)
}

// fail maps err to a status and message and responds with them. It logs errors with a 5xx status.
func fail(logger *slog.Logger, w http.ResponseWriter, r *http.Request, err error) {
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
	case errors.Is(err, errTimeout): // before the next case, because errTimeout is an openviduError
		status, text = http.StatusGatewayTimeout, errTimeout.Error()
	case isOpenVidu:
		status, text = http.StatusBadGateway, openvidu.Error()
	}
	if status >= http.StatusInternalServerError {
		logger.Error("request failed", "path", r.URL.Path, "error", err)
	}
	http.Error(w, text, status)
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
			if origin := r.Header.Get("Origin"); slices.Contains(origins, origin) {
				header.Set("Access-Control-Allow-Origin", origin)
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

// limitBody limits request bodies to maxBody and reads what next leaves unread, because closing a connection with unread data
// resets it and may lose the response (RFC 9112, section 9.6). It must be the outermost handler: net/http delays closing the
// connection after an oversized body only if MaxBytesHandler is given net/http's own ResponseWriter.
func limitBody(next http.Handler) http.Handler {
	return http.MaxBytesHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		// If the connection stays open, net/http reads the rest. If the client expects 100 Continue, it hasn't sent the body.
		if r.Close && r.Header.Get("Expect") == "" {
			io.Copy(io.Discard, r.Body)
		}
	}), maxBody)
}

// logRequests logs every request and the status of its response.
func logRequests(logger *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		recorder := &statusRecorder{w, http.StatusOK}
		next.ServeHTTP(recorder, r)
		logger.LogAttrs(r.Context(), slog.LevelInfo, "request",
			slog.String("method", r.Method),
			slog.String("path", r.URL.Path),
			slog.Int("status", recorder.status),
			slog.Duration("duration", time.Since(start)))
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
