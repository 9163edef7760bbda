package main

import (
	"io"
	"net/http"
	"strings"
)

// logins maps each login to the session that it may view, or to "*" if it may do everything.
var logins = map[string]string{"Bearer presenter": "*", "Bearer viewer": "SessionA"}

// authorize is an example of authentication: it rejects requests without a login. Whatever viewers send, they open
// their session without properties of their own and join it as a SUBSCRIBER. To use it, see Authentication in the
// README.
func authorize(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session, ok := logins[r.Header.Get("Authorization")] // replace this with your own check
		if !ok {
			w.Header().Set("WWW-Authenticate", "Bearer")
			respondError(w, r, httpError{http.StatusUnauthorized, "log in first"})
			return
		}
		if session != "*" {
			properties := `{"role":"SUBSCRIBER"}`
			switch r.Method + " " + r.URL.Path {
			case "POST /api/sessions":
				properties = `{"customSessionId":"` + session + `"}` // A-Z, a-z, 0-9, _ and - need no escapes in JSON
			case "POST /api/sessions/" + session + "/connections":
			default:
				respondError(w, r, httpError{http.StatusForbidden, "viewers can join only " + session})
				return
			}
			io.Copy(io.Discard, r.Body) // so that net/http notices if the viewer disconnects
			r.Body = io.NopCloser(strings.NewReader(properties))
		}
		api.ServeHTTP(w, r)
	})
}
