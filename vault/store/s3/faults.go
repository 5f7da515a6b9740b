package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/remote"
)

// Codes of https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
// and of other services, by what they mean for a person.
var kinds = map[string]remote.Kind{
	"AccessDenied": remote.Denied, "AllAccessDisabled": remote.Denied, "AccountProblem": remote.Denied,
	"Forbidden": remote.Denied, "AccessForbidden": remote.Denied, "MethodNotAllowed": remote.Denied,

	"InvalidAccessKeyId": remote.Unknown, "SignatureDoesNotMatch": remote.Unknown, "InvalidToken": remote.Unknown,
	"ExpiredToken": remote.Unknown, "TokenRefreshRequired": remote.Unknown, "InvalidSecurity": remote.Unknown,
	"NotSignedUp": remote.Unknown, "Unauthorized": remote.Unknown, "XAdminUserNotFound": remote.Unknown,

	"NoSuchBucket": remote.NoPlace, "InvalidBucketName": remote.NoPlace, "PermanentRedirect": remote.NoPlace,
	"MovedPermanently": remote.NoPlace, "TemporaryRedirect": remote.NoPlace, "Redirect": remote.NoPlace,
	"AuthorizationHeaderMalformed": remote.NoPlace, "IllegalLocationConstraintException": remote.NoPlace,

	"RequestTimeTooSkewed": remote.Clock,

	"QuotaExceeded": remote.Full, "QuotaExceededException": remote.Full, "StorageFull": remote.Full,
	"XMinioStorageFull": remote.Full, "XMinioAdminBucketQuotaExceeded": remote.Full, "InsufficientCapacity": remote.Full,

	"BadDigest": remote.Unlike, "InvalidDigest": remote.Unlike, "XAmzContentSHA256Mismatch": remote.Unlike,
	"ContentSHA256Mismatch": remote.Unlike, "IncompleteBody": remote.Unlike,
}

// passing are codes below 500 that may be another answer at the next try:
// the bytes were changed or cut short on the way, or another request for the
// same name was at work.
var passing = map[string]bool{
	"BadDigest": true, "XAmzContentSHA256Mismatch": true, "ContentSHA256Mismatch": true, "IncompleteBody": true,
	"RequestTimeout": true, "SlowDown": true, "SlowDownRead": true, "SlowDownWrite": true, "Throttling": true,
	"ThrottlingException": true, "TooManyRequests": true, "RequestLimitExceeded": true, "BandwidthLimitExceeded": true,
	"ConditionalRequestConflict": true, "OperationAborted": true, "RequestTimeoutException": true,
}

// errUnlike says that the service tells another checksum than ours.
var errUnlike = errors.New("the service tells another SHA-256 of the bytes that arrived")

// errIgnored says that a service does not do what this kind rests on.
var errIgnored = errors.New("the service does not answer as S3 does")

// errOther says that an answer is not one to what was asked: a page of a
// proxy in between, an error beside 200. It is worth another try.
var errOther = errors.New("the answer is not one of S3 to this request")

// code gives the service's code of an error, "" when there is none.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// status gives the HTTP status of an error, 0 when no answer came.
func status(err error) int {
	var resp *awshttp.ResponseError
	if errors.As(err, &resp) && resp.Response != nil && resp.Response.Response != nil {
		return resp.HTTPStatusCode()
	}
	return 0
}

// refused tells whether the service has said no: trying again gives the same
// answer, and nothing was done.
func refused(err error) bool {
	var (
		unverified *tls.CertificateVerificationError
		authority  x509.UnknownAuthorityError
		missing    *noCredentials
		bug        *smithy.SerializationError
		limit      *smithy.InvalidParamsError
	)
	switch st := status(err); {
	case errors.As(err, &unverified), errors.As(err, &authority), errors.As(err, &missing), errors.As(err, &bug),
		errors.As(err, &limit), errors.Is(err, errIgnored):
		return true
	case st == http.StatusRequestTimeout, st == http.StatusTooManyRequests:
		return false
	case st == http.StatusNotImplemented, st == http.StatusInsufficientStorage:
		return true
	default:
		return st >= 300 && st < 500 && !passing[code(err)]
	}
}

// missing tells whether the service has said that there is no such object.
func missing(err error) bool {
	c := code(err)
	return c == "NoSuchKey" || status(err) == http.StatusNotFound && (c == "NotFound" || c == "")
}

// taken tells whether the service has said that the name is taken.
func taken(err error) bool {
	return status(err) == http.StatusPreconditionFailed || code(err) == "PreconditionFailed"
}

// fault gives an error its four lines.
func (p *Place) fault(did, name string, err error) error {
	if err == nil {
		return nil
	}
	for _, plain := range []error{context.Canceled, context.DeadlineExceeded, store.ErrExist, store.ErrNotExist, store.ErrClosed} {
		if errors.Is(err, plain) {
			return remote.Fault(p.title, did, name, remote.Unreachable, err)
		}
	}
	c := code(err)
	kind, known := kinds[c]
	var none *noCredentials
	switch {
	case known:
	case errors.As(err, &none), status(err) == http.StatusUnauthorized:
		kind = remote.Unknown
	case errors.Is(err, errUnlike):
		kind = remote.Unlike
	case status(err) == http.StatusForbidden:
		kind = remote.Denied
	case status(err) == http.StatusInsufficientStorage:
		kind = remote.Full
	}
	short := &answer{err: err}
	if lockless(err) {
		return &fault.Error{Op: "place", What: "cannot lock objects in " + p.title, Why: remote.Words(short.Error()),
			Left: "What lay in the place before is unchanged; nothing new is visible.",
			Do:   "Make a bucket with object lock for this place, or take object_lock out of its section.", Code: fault.Refused, Err: short}
	}
	return remote.Fault(p.title, did, name, kind, short)
}

// lockWords find what services say of a bucket that takes no locks.
var lockWords = regexp.MustCompile(`(?i)missing object ?lock ?config|object lock (is )?not enabled|no object ?lock`)

// lockless tells whether the service refuses because the bucket takes no locks.
func lockless(err error) bool {
	switch c := code(err); c {
	case "ObjectLockConfigurationNotFoundError", "InvalidBucketObjectLockConfiguration", "NoSuchObjectLockConfiguration":
		return true
	case "InvalidRequest", "InvalidArgument":
		var api smithy.APIError
		return errors.As(err, &api) && lockWords.MatchString(api.ErrorMessage())
	}
	return false
}

// answer says an error of the SDK shortly: its own text repeats itself.
type answer struct{ err error }

func (a *answer) Unwrap() error { return a.err }

func (a *answer) Error() string {
	var api smithy.APIError
	if !errors.As(a.err, &api) {
		return sending(a.err).Error()
	}
	text := api.ErrorCode()
	if m := api.ErrorMessage(); m != "" && m != text {
		text += ": " + m
	}
	var resp *awshttp.ResponseError
	if errors.As(a.err, &resp) {
		if resp.Response != nil && resp.Response.Response != nil {
			if region := resp.Response.Header.Get("X-Amz-Bucket-Region"); region != "" && kinds[api.ErrorCode()] == remote.NoPlace {
				text += fmt.Sprintf(" (the bucket's region is %s)", region)
			}
		}
		if id := resp.RequestID; id != "" {
			text += fmt.Sprintf(" (HTTP %d, request %s)", status(a.err), id)
		}
	}
	return text
}

// sending is the cause below what the SDK and net/http say around it, when a
// request did not get there.
func sending(err error) error {
	var send *smithyhttp.RequestSendError
	var op *smithy.OperationError
	var at *url.Error
	switch {
	case errors.As(err, &send) && errors.As(send.Err, &at):
		return at.Err
	case errors.As(err, &send):
		return send.Err
	case errors.As(err, &op):
		return op.Err
	}
	return err
}
