namespace Fleet.Provisioning.Servers;

/// <summary>Where the three servers' programs are; paths as seen inside <see cref="Root"/>.</summary>
/// <param name="Root"><c>/</c>, or the private Debian root.</param>
/// <param name="PostgreSqlBin">The folder with <c>postgres</c> and <c>initdb</c>.</param>
/// <param name="PostgreSqlMajor">Part of the data folder's name, because a major version cannot read another's.</param>
/// <param name="RabbitMqServer">The script that runs the broker as its caller, not the one that changes user.</param>
/// <param name="RedisServer">Redis' or Valkey's server.</param>
/// <param name="RedisUser">The account its package made.</param>
public sealed record LocalBinaries(
    string Root, string PostgreSqlBin, int PostgreSqlMajor, string RabbitMqServer, string RedisServer, string RedisUser);
