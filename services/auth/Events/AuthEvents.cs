using Fleet.Auth.Data;
using Fleet.Contracts.Events;
using Fleet.ServiceDefaults.Messaging;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;

namespace Fleet.Auth.Events;

/// <summary>Records events in the context's open transaction, so that they are told if and only if the change is kept.</summary>
internal sealed class AuthEvents(AuthDbContext database, Outbox outbox)
{
    /// <exception cref="InvalidOperationException">No transaction is open: the event could outlive a change that failed.</exception>
    public Task AddAsync(IntegrationEvent integrationEvent, CancellationToken cancellationToken)
    {
        var transaction = database.Database.CurrentTransaction
            ?? throw new InvalidOperationException($"{integrationEvent.GetType().Name} needs an open transaction.");
        return outbox.AddAsync(database.Database.GetDbConnection(), transaction.GetDbTransaction(), integrationEvent, cancellationToken);
    }
}
