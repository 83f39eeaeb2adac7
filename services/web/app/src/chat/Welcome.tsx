import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import { useI18n } from '../i18n/I18nProvider';

export function Welcome() {
  const { t } = useI18n();
  return (
    <Box sx={{ textAlign: 'center', mt: { xs: 6, md: 14 } }}>
      <Typography variant="h5" component="h2">
        {t('welcome')}
      </Typography>
      <Typography color="textSecondary" sx={{ mt: 1 }}>
        {t('welcomeHint')}
      </Typography>
    </Box>
  );
}
