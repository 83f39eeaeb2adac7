using Fleet.ServiceDefaults.Http;
using Xunit;

namespace Fleet.ServiceDefaults.Tests.Http;

public sealed class CursorTests
{
    [Fact]
    public void TryDecode_WhatEncodeWrote_ReturnsIt()
    {
        var cursor = new Cursor(new DateTimeOffset(2026, 11, 20, 13, 0, 0, 123, TimeSpan.Zero), Guid.CreateVersion7());

        Assert.True(Cursor.TryDecode(cursor.Encode(), out var decoded));

        Assert.Equal(cursor, decoded);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("not base64!")]
    [InlineData("AAAA")]
    [InlineData("__________________________________")]
    [InlineData("' OR 1=1 --")]
    public void TryDecode_AnythingElse_ReturnsFalse(string? text) => Assert.False(Cursor.TryDecode(text, out _));
}
