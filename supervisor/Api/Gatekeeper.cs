using OsBuild.Supervisor.Web;

namespace OsBuild.Supervisor.Api;

/// <summary>Decides by a request's head whether it may go on. There is no mode in which it does not look.</summary>
internal static class Gatekeeper
{
    /// <summary>Null lets the request pass; an answer refuses it.</summary>
    public static HttpAnswer? Look(HttpRequest request, AccessKey key, DateTimeOffset now)
    {
        if (request.Method == "GET" && (request.Path == "/ping" || WebPage.Has(request.Path))) return null;
        if (request.Header("authorization") is { } given)
            return given.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) && key.Matches(given[7..]) ? null : HttpAnswer.Text(401, "This is not the key of this device; 'supervisor key' on the device shows it.\n");
        if (request.Cookie(AccessKey.CookieName) is not { } session || !key.Admits(session, now)) return HttpAnswer.Text(401, "Log in first: send the device's key as 'Authorization: Bearer KEY'; 'supervisor key' on the device shows it.\n");

        // A page of another site may make a browser send the cookie, but not our own origin.
        return request.Method == "GET" || IsOwn(request) ? null : HttpAnswer.Text(403, "This call comes from another site.\n");
    }

    private static bool IsOwn(HttpRequest request) => request.Header("origin") is { } origin && request.Header("host") is { Length: > 0 } host
        && (origin.Equals("http://" + host, StringComparison.OrdinalIgnoreCase) || origin.Equals("https://" + host, StringComparison.OrdinalIgnoreCase));
}
