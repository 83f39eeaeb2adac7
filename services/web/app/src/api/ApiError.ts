/** A refused or failed call, with what the problem details said. Status 0 means no answer came at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail?: string,
    readonly traceId?: string,
    readonly fields?: Record<string, string[]>,
  ) {
    super(title);
    this.name = 'ApiError';
  }

  static async from(response: Response): Promise<ApiError> {
    const problem = (await response.json().catch(() => ({}))) as {
      title?: string;
      detail?: string;
      traceId?: string;
      errors?: Record<string, string[]>;
    };
    return new ApiError(
      response.status,
      problem.title ?? response.statusText,
      problem.detail,
      problem.traceId,
      problem.errors,
    );
  }
}
