package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"time"
)

const (
	maxBody = 100 << 10 // bytes

	// nginx's status for a client that went away. Only the log sees it.
	statusClientClosedRequest = 499
)

// newHandler returns the whole of what a frontend talks to. ov makes the
// sessions and connections; origins are those that browsers may call from, none
// means any; log gets a line for each request and the cause of each 502 and 504.
func newHandler(ov *openVidu, origins []string, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /api/sessions", handle(log, func(r *http.Request, properties []byte) (string, error) {
		return ov.createSession(r.Context(), properties)
	}))
	mux.Handle("POST /api/sessions/{sessionId}/connections", handle(log, func(r *http.Request, properties []byte) (string, error) {
		return ov.createConnection(r.Context(), r.PathValue("sessionId"), properties)
	}))
	return logRequests(log, cors(origins, mux))
}

// handle answers with the id or token that create makes of a request's properties.
func handle(log *slog.Logger, create func(r *http.Request, properties []byte) (string, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		properties, err := readProperties(w, r)
		var made string
		if err == nil {
			made, err = create(r, properties)
		}
		if err != nil {
			fail(log, w, r, err)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		io.WriteString(w, made)
	})
}

// readProperties returns the body as it came, a JSON object. None is an empty one.
func readProperties(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, &http.MaxBytesError{Limit: maxBody}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, err
	}
	if len(body) == 0 {
		return []byte("{}"), nil
	}
	if !json.Valid(body) || bytes.TrimLeft(body, " \t\r\n")[0] != '{' {
		return nil, propertyError("the body should be one JSON object")
	}
	return body, nil
}

// fail is the one place where an error becomes a status and a text.
func fail(log *slog.Logger, w http.ResponseWriter, r *http.Request, err error) {
	var (
		openvidu openviduError
		property propertyError
		tooLarge *http.MaxBytesError
	)
	status, text := http.StatusBadRequest, "the body can't be read"
	if errors.As(err, &openvidu) {
		text = openvidu.Error()
		switch openvidu {
		case errNoSession:
			status = http.StatusNotFound
		case errTimeout:
			status = http.StatusGatewayTimeout
		default:
			status = http.StatusBadGateway
		}
		if r.Context().Err() != nil {
			status = statusClientClosedRequest
		} else if status != http.StatusNotFound {
			log.Error("call to OpenVidu failed", "path", r.URL.Path, "cause", err)
		}
	} else if errors.As(err, &property) {
		text = property.Error()
	} else if errors.As(err, &tooLarge) {
		status, text = http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d KiB", maxBody>>10)
		w.Header().Set("Connection", "close") // or the server would read on before it answers
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		status, text = http.StatusRequestTimeout, "the body did not arrive in time"
	}
	http.Error(w, text, status)
}

// cors lets browsers read the answers of all that is behind it, errors too, and
// answers their preflights (https://fetch.spec.whatwg.org/#http-cors-protocol).
func cors(origins []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		if len(origins) == 0 {
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
			header.Set("Access-Control-Max-Age", "7200") // seconds, the most that Chromium takes
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// logRequests writes a line to log for each request that was answered.
func logRequests(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		recorder := &statusRecorder{w, http.StatusOK}
		next.ServeHTTP(recorder, r)
		log.LogAttrs(r.Context(), slog.LevelInfo, "request",
			slog.String("method", r.Method),
			slog.String("path", r.URL.Path),
			slog.Int("status", recorder.status),
			slog.Duration("duration", time.Since(start)))
	})
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (w *statusRecorder) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}
