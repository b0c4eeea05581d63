using System.Text.Json;
using OsBuild.ImageBuilder.Planning;

namespace OsBuild.ImageBuilder.Building;

/// <summary>Writes <c>NAME.img.cdx.json</c>: what is in the image, as CycloneDX 1.6 (ECMA-424): the packages of the Yocto manifest, the kernel,
/// and what the builder added. No serial number and no time of the run: same image, same bytes.</summary>
internal static class BillOfMaterials
{
    public static void Write(Stream target, ImagePlan plan)
    {
        using var json = new Utf8JsonWriter(target, ImageRecord.Indented);
        json.WriteStartObject();
        json.WriteString("bomFormat", "CycloneDX");
        json.WriteString("specVersion", "1.6");
        json.WriteNumber("version", 1);
        json.WriteStartObject("metadata");
        json.WriteString("timestamp", DateTimeOffset.FromUnixTimeSeconds(plan.Time).ToString("yyyy-MM-ddTHH:mm:ssZ"));
        json.WriteStartObject("component");
        json.WriteString("type", "operating-system");
        json.WriteString("bom-ref", "image");
        json.WriteString("name", $"{plan.Image}-{plan.Machine}");
        json.WriteString("version", plan.Version);
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteStartArray("components");
        Component(json, "operating-system", "linux", plan.KernelVersion, "kernel", null);
        Component(json, "application", "osbuild-supervisor", plan.BuilderVersion, "supervisor", null);
        foreach (var package in plan.Packages) Component(json, "library", package.Name, package.Version, $"package {package.Name}", package.Arch);
        json.WriteEndArray();
        json.WriteStartArray("dependencies");
        json.WriteStartObject();
        json.WriteString("ref", "image");
        json.WriteStartArray("dependsOn");
        foreach (var part in (string[])["kernel", "supervisor", .. plan.Packages.Select(p => $"package {p.Name}")]) json.WriteStringValue(part);
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
        json.Flush();
        target.WriteByte((byte)'\n');
    }

    private static void Component(Utf8JsonWriter json, string type, string name, string version, string reference, string? arch)
    {
        json.WriteStartObject();
        json.WriteString("type", type);
        json.WriteString("bom-ref", reference);
        json.WriteString("name", name);
        json.WriteString("version", version);
        if (arch is not null)
        {
            json.WriteStartArray("properties");
            json.WriteStartObject();
            json.WriteString("name", "yocto:arch");
            json.WriteString("value", arch);
            json.WriteEndObject();
            json.WriteEndArray();
        }

        json.WriteEndObject();
    }
}
